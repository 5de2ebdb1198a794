//! Whether a server runs, and its version.

use super::{CheckResult, Checked, Context};

pub(super) async fn check(context: &Context) -> Checked {
    let (addr, version) = (context.addr(), env!("CARGO_PKG_VERSION"));
    let running = context.server().await.ok_or_else(|| {
        CheckResult::info(format!("no server on {addr}"))
            .hint("start one with `open-cursor serve`; `open-cursor run -- CLIENT` starts its own")
    })?;
    if running.version != version {
        let text = format!("{running} listens on {addr}, but this program is version {version}");
        let hint = format!(
            "restart it: `kill {}`, then `open-cursor serve`",
            running.pid
        );
        return Ok(CheckResult::warning(text).hint(hint));
    }
    if running.status != "ok" {
        let text = format!("{running} is {}", running.status);
        return Ok(CheckResult::warning(text));
    }
    let agent = running.agent.as_deref().unwrap_or("unknown");
    let workspace = running.workspace.as_deref();
    let workspace = workspace.unwrap_or("set by each request");
    Ok(CheckResult::ok(format!(
        "{running}, agent {agent}, workspace {workspace}"
    )))
}
