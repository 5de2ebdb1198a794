//! Whether Cursor's host can be reached: its name and a connection. No credential is sent; that
//! what answers is Cursor, `create-chat` proves.

use std::time::{Duration, Instant};

use tokio::net::{TcpStream, lookup_host};

use super::{Context, finding::Verdict};

const HOST: &str = "api2.cursor.sh:443";
const PATIENCE: Duration = Duration::from_secs(4);

pub(super) async fn check(context: &Context) -> Verdict {
    let proxies = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    if let Some(name) = proxies.iter().find(|name| context.env.get(name).is_some()) {
        return Verdict::info(format!("not checked: the agent connects by {name}"));
    }
    if context
        .program
        .as_ref()
        .is_ok_and(|program| !program.leading_args.is_empty())
    {
        return Verdict::info("not checked: the replay agent needs no network");
    }
    let begun = Instant::now();
    let addresses: Vec<_> = match tokio::time::timeout(PATIENCE, lookup_host(HOST)).await {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(error)) => return unreachable(&format!("its name is not found: {error}")),
        Err(_) => return unreachable("the name server does not answer"),
    };
    match tokio::time::timeout(PATIENCE, TcpStream::connect(&addresses[..])).await {
        Ok(Ok(_)) => Verdict::ok(format!(
            "{HOST} accepts connections ({} ms)",
            begun.elapsed().as_millis()
        )),
        Ok(Err(error)) => unreachable(&error.to_string()),
        Err(_) => unreachable("no answer"),
    }
}

fn unreachable(why: &str) -> Verdict {
    Verdict::problem(format!("{HOST} can't be reached: {why}"))
        .hint("check the network; behind a proxy, set HTTPS_PROXY (and NODE_EXTRA_CA_CERTS)")
}
