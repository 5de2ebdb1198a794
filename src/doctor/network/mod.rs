//! Whether the network leads to Cursor: name lookup and a TCP connection, to the proxy if the
//! environment names one. It sends no request and no credential. TLS, the proxy's rules and the
//! service itself are proven by `create-chat`, which runs the real CLI.

mod proxy;

use std::time::{Duration, Instant};

use hyper::Uri;
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

use super::{CheckResult, Checked, Context};
use crate::account;

/// The limit for the name lookup, and again for the connection.
const STEP: Duration = Duration::from_secs(3);

/// `name:port`, as in the URI.
fn host_of(uri: &Uri, default_port: u16) -> Option<String> {
    let port = uri.port_u16().unwrap_or(default_port);
    Some(format!("{}:{port}", uri.host()?))
}

pub(super) async fn check(context: &Context) -> Checked {
    let program = context.program.as_ref();
    if program.is_ok_and(|program| program.is_built_in()) {
        let text = "not checked: the replay agent needs no network";
        return Ok(CheckResult::info(text));
    }
    let get = |name: &str| context.env.get(name).and_then(|value| value.to_str());
    let url = account::address(&|name| get(name).map(str::to_owned));
    let uri = url.parse::<Uri>().ok();
    let uri = uri.filter(|uri| uri.scheme_str() == Some("https"));
    let cursor = uri.and_then(|uri| host_of(&uri, 443)).ok_or_else(|| {
        CheckResult::info(format!("not checked: {url} is not an https:// address"))
    })?;
    let proxy = proxy::of(get, &cursor);
    let proxy = proxy.map_err(|why| CheckResult::info(format!("not checked: {why}")))?;
    let (host, label, hint) = match proxy {
        None => (
            cursor.clone(),
            cursor,
            "check the network; behind a proxy, set HTTPS_PROXY",
        ),
        Some((host, variable)) => (
            host.clone(),
            format!("the proxy for {cursor}, {host} ({variable}),"),
            "check the proxy's address, or unset the variable",
        ),
    };
    let started = Instant::now();
    connect(&host).await.map_err(|error| {
        CheckResult::problem(format!("{label} cannot be reached: {error}")).hint(hint)
    })?;
    let took = started.elapsed().as_millis();
    Ok(CheckResult::ok(format!(
        "{label} accepts connections ({took} ms)"
    )))
}

/// Connects, and closes the connection; or says why not.
async fn connect(host: &str) -> Result<(), String> {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let late = |what: String| format!("{what} within {} s", STEP.as_secs());
    let addresses: Vec<_> = timeout(STEP, lookup_host(host))
        .await
        .map_err(|_| late("no answer from the name server".to_owned()))?
        .map_err(|error| format!("the name {name} cannot be resolved: {error}"))?
        .collect();
    timeout(STEP, TcpStream::connect(&addresses[..]))
        .await
        .map_err(|_| late(format!("no connection to {host}")))?
        .map_err(|error| format!("{host} does not accept connections: {error}"))?;
    Ok(())
}
