//! Whether a server runs, and its version.

use super::{Context, finding::CheckResult};

pub(super) async fn check(context: &Context) -> CheckResult {
    let addr = context.addr();
    let Some(running) = context.server().await else {
        return CheckResult::info(format!("no server on {addr}")).hint(
            "start one with `open-cursor serve`; `open-cursor run -- CLIENT` starts its own",
        );
    };
    if running.version != env!("CARGO_PKG_VERSION") {
        return CheckResult::warning(format!(
            "{running} listens on {addr}, but this program is version {}",
            env!("CARGO_PKG_VERSION")
        ))
        .hint(format!(
            "restart it: `kill {}`, then `open-cursor serve`",
            running.pid
        ));
    }
    if running.status != "ok" {
        return CheckResult::warning(format!("{running} is {}", running.status));
    }
    let agent = running.agent.as_deref().unwrap_or("unknown");
    let workspace = running
        .workspace
        .as_deref()
        .unwrap_or("set by each request");
    CheckResult::ok(format!("{running}, agent {agent}, workspace {workspace}"))
}
