//! Whether a server runs, and which.

use super::{Context, finding::Verdict};

pub(super) async fn check(context: &Context) -> Verdict {
    let addr = context.addr();
    let Some(sibling) = context.sibling().await else {
        return Verdict::info(format!("no server on {addr}"))
            .hint("`open-cursor serve` starts one, `open-cursor run -- CLIENT` brings its own");
    };
    if sibling.version != env!("CARGO_PKG_VERSION") {
        return Verdict::warning(format!(
            "{sibling} runs on {addr}, but this is {}",
            env!("CARGO_PKG_VERSION")
        ))
        .hint(format!(
            "restart it: `kill {}`, then `open-cursor serve`",
            sibling.pid
        ));
    }
    if sibling.status != "ok" {
        return Verdict::warning(format!("{sibling} is {}", sibling.status));
    }
    let agent = sibling.agent.as_deref().unwrap_or("not told");
    let workspace = sibling.workspace.as_deref().unwrap_or("each request's own");
    Verdict::ok(format!("{sibling}, agent {agent}, workspace {workspace}"))
}
