//! Whether a real request gets an answer, through a server started for it.

use std::time::Instant;

use super::{CheckResult, Checked, Context};

pub(super) async fn check(context: &Context) -> Checked {
    context.needs_agent()?;
    let started = Instant::now();
    let answer = (context.probes.chat)().await.map_err(unanswered)?;
    if answer.trim().is_empty() {
        return Ok(CheckResult::warning("`auto` sent an empty answer"));
    }
    let seconds = started.elapsed().as_secs_f32();
    Ok(CheckResult::ok(format!(
        "`auto` answered in {seconds:.1} s"
    )))
}

/// A request that got no answer.
pub(super) fn unanswered(error: String) -> CheckResult {
    CheckResult::problem(error)
        .hint("`open-cursor serve --log-level debug` shows what the agent says")
}
