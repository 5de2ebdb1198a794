//! Whether runs can wait for the results of a client's tools, so that a turn starts the agent once.

use super::{Context, context::ProbedLoop, finding::CheckResult};
use crate::{agent::carrier_problem, sandbox::fence::FenceMode};

/// What the user loses without it.
const ANEW: &str = "each answer with tool calls starts the agent anew";

/// What is left of it where the agent works in a view by its own tools.
const IN_A_VIEW: &str = "in its view the agent works on after a change of a file, and any other call ends \
                         its run";

pub(super) async fn check(context: &Context) -> CheckResult {
    let turns = context.settings.turns;
    let has_fence = context.settings.fence != FenceMode::Off;
    let otherwise = match turns.collects_changes() && has_fence {
        true => IN_A_VIEW,
        false => ANEW,
    };
    if !turns.serves_tools() {
        let name = turns.name();
        return CheckResult::info(format!("no tools are served (--turns {name}): {otherwise}"));
    }
    if context.bridge.is_some() {
        return CheckResult::ok("runs wait for the results of tools, by Cursor's SDK bridge");
    }
    let Ok(program) = &context.program else {
        return CheckResult::no_agent();
    };
    let help = match context.query(program, &["--help"], 10).await {
        Ok(reply) => reply.stdout,
        Err(error) => return CheckResult::problem(error.to_string()),
    };
    match carrier_problem(program, context.carriers.clone(), &help).await {
        None => CheckResult::ok("runs wait for the results of tools, which the agent gets by MCP"),
        Some(problem) => {
            CheckResult::warning(format!("no tools are served ({problem}): {otherwise}"))
                .hint("update Cursor's CLI with `cursor-agent update`; all works, but slower")
        }
    }
}

/// One call of a tool, answered while its run waits.
pub(super) async fn round_trip(context: &Context) -> CheckResult {
    if context.program.is_err() && context.bridge.is_none() {
        return CheckResult::no_agent();
    }
    match (context.probes.tool_loop)().await {
        Ok(seen) => judge(&seen),
        Err(error) => CheckResult::problem(error)
            .hint("`open-cursor serve --log-level debug` shows what the agent says"),
    }
}

fn judge(seen: &ProbedLoop) -> CheckResult {
    let times = format!(
        "call after {:.1} s, answer {:.1} s after its result",
        seen.call.as_secs_f32(),
        seen.answer.as_secs_f32()
    );
    if !seen.called {
        return CheckResult::warning(
            "the model answered without calling the tool that it was offered",
        )
        .hint("run it again; if that stays so, report it with `open-cursor --version`");
    }
    if !seen.answered {
        return CheckResult::problem(format!("the result did not reach the model; {times}"))
            .hint("`--turns respawn` starts the agent anew for each result");
    }
    if seen.starts == 1 {
        CheckResult::ok(format!(
            "one start of the agent for call and answer; {times}"
        ))
    } else {
        let starts = seen.starts;
        CheckResult::info(format!("{starts} starts of the agent; {times}"))
    }
}
