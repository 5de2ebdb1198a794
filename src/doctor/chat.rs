//! Whether a real request gets an answer, through a server started for it.

use std::time::Instant;

use super::{Context, finding::CheckResult};

pub(super) async fn check(context: &Context) -> CheckResult {
    if context.program.is_err() && context.bridge.is_none() {
        return CheckResult::no_agent();
    }
    let started = Instant::now();
    match (context.probes.chat)().await {
        Ok(text) if !text.trim().is_empty() => CheckResult::ok(format!(
            "`auto` answered in {:.1} s",
            started.elapsed().as_secs_f32()
        )),
        Ok(_) => CheckResult::warning("`auto` sent an empty answer"),
        Err(error) => CheckResult::problem(error)
            .hint("`open-cursor serve --log-level debug` shows what the agent says"),
    }
}
