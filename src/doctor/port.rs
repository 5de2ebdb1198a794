//! Whether the port is free, and which process holds it.

use tokio::net::TcpListener;

use super::{CheckResult, Checked, Context, processes};

pub(super) async fn check(context: &Context) -> Checked {
    let addr = context.addr();
    if addr.port() == 0 {
        return Ok(CheckResult::info(
            "port 0: the server picks a free port at each start, so clients cannot be configured for it",
        ));
    }
    if let Some(running) = context.server().await {
        return Ok(CheckResult::ok(format!("{running} listens on {addr}")));
    }
    Ok(match TcpListener::bind(addr).await {
        Ok(_) => CheckResult::ok(format!("{addr} is free")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            let owner = tokio::task::spawn_blocking(move || processes::listener(addr.port()));
            let owner = owner.await.ok().flatten();
            let owner = owner.unwrap_or_else(|| "a process of another user".to_owned());
            CheckResult::problem(format!("{addr} is in use by {owner}")).hint(
                "stop it, or set another `port` in config.toml, and run `open-cursor install` if OpenCode is configured",
            )
        }
        Err(error) => CheckResult::problem(format!("cannot listen on {addr}: {error}"))
            .hint("choose another `host` or `port` in config.toml"),
    })
}
