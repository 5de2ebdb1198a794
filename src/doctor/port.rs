//! Who has the port.

use tokio::net::TcpListener;

use super::{Context, finding::Verdict, owner};

pub(super) async fn check(context: &Context) -> Verdict {
    let addr = context.addr();
    if addr.port() == 0 {
        return Verdict::info("any free port is used, so clients can't be configured for one");
    }
    if let Some(sibling) = context.sibling().await {
        return Verdict::ok(format!("{addr} belongs to {sibling}"));
    }
    match TcpListener::bind(addr).await {
        Ok(_) => Verdict::ok(format!("{addr} is free")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            let owner = tokio::task::spawn_blocking(move || owner::of(addr.port()));
            let owner = owner.await.ok().flatten();
            let owner =
                owner.unwrap_or_else(|| "another program, which only its user can see".to_owned());
            Verdict::problem(format!("{addr} is in use by {owner}")).hint(
                "stop it, or set another `port` in config.toml, and run `open-cursor install` if OpenCode is configured",
            )
        }
        Err(error) => Verdict::problem(format!("{addr} can't be listened on: {error}"))
            .hint("choose another `host` or `port` in config.toml"),
    }
}
