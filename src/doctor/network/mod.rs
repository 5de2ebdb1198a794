//! Whether the network leads to Cursor: name lookup and a TCP connection, to the proxy if the
//! environment names one. It sends no request and no credential. TLS, the proxy's rules and the
//! service itself are proven by `create-chat`, which runs the real CLI.

mod proxy;

use std::{
    fmt, io,
    time::{Duration, Instant},
};

use hyper::Uri;
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

use super::{Context, finding::CheckResult};
use crate::account;
use proxy::ProxyRoute;

/// The limit for the name lookup, and again for the connection.
const STEP: Duration = Duration::from_secs(3);

/// A name, or an address without brackets, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
struct HostPort {
    name: String,
    port: u16,
}

impl HostPort {
    fn of(uri: &Uri, default_port: u16) -> Option<Self> {
        let name = uri.host()?.trim_start_matches('[').trim_end_matches(']');
        Some(Self {
            name: name.to_owned(),
            port: uri.port_u16().unwrap_or(default_port),
        })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, port } = self;
        if name.contains(':') {
            write!(f, "[{name}]:{port}")
        } else {
            write!(f, "{name}:{port}")
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum ConnectError {
    #[error("the name {0} cannot be resolved: {1}")]
    Name(String, io::Error),
    #[error("{0} does not accept connections: {1}")]
    Connection(HostPort, io::Error),
    #[error("{0} within {seconds} s", seconds = STEP.as_secs())]
    Timeout(String),
}

pub(super) async fn check(context: &Context) -> CheckResult {
    let program = context.program.as_ref();
    if program.is_ok_and(|program| program.is_built_in()) {
        return CheckResult::info("not checked: the replay agent needs no network");
    }
    let get = |name: &str| context.env.get(name).and_then(|value| value.to_str());
    let url = account::address(&|name| get(name).map(str::to_owned));
    let uri = url.parse::<Uri>().ok();
    let uri = uri.filter(|uri| uri.scheme_str() == Some("https"));
    let Some(cursor) = uri.and_then(|uri| HostPort::of(&uri, 443)) else {
        return CheckResult::info(format!("not checked: {url} is not an https:// address"));
    };
    let (host, label, hint) = match proxy::route(get, &cursor) {
        ProxyRoute::Direct => (
            &cursor,
            cursor.to_string(),
            "check the network; behind a proxy, set HTTPS_PROXY",
        ),
        ProxyRoute::Proxy(ref proxy) => (
            &proxy.host.clone(),
            format!("the proxy for {cursor}, {proxy},"),
            "check the proxy's address, or unset the variable",
        ),
        ProxyRoute::Unknown(why) => return CheckResult::info(format!("not checked: {why}")),
    };
    let started = Instant::now();
    match connect(host).await {
        Ok(()) => {
            let took = started.elapsed().as_millis();
            CheckResult::ok(format!("{label} accepts connections ({took} ms)"))
        }
        Err(error) => {
            CheckResult::problem(format!("{label} cannot be reached: {error}")).hint(hint)
        }
    }
}

/// Connects, and closes the connection.
async fn connect(host: &HostPort) -> Result<(), ConnectError> {
    let lookup = lookup_host((host.name.as_str(), host.port));
    let addresses: Vec<_> = timeout(STEP, lookup)
        .await
        .map_err(|_| ConnectError::Timeout("no answer from the name server".to_owned()))?
        .map_err(|error| ConnectError::Name(host.name.clone(), error))?
        .collect();
    timeout(STEP, TcpStream::connect(&addresses[..]))
        .await
        .map_err(|_| ConnectError::Timeout(format!("no connection to {host}")))?
        .map_err(|error| ConnectError::Connection(host.clone(), error))?;
    Ok(())
}
