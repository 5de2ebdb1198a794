//! Whether runs can wait for the results of a client's tools, so that a turn starts the agent once.

use super::{CheckResult, Checked, Context, chat::unanswered};
use crate::{agent::carrier_problem, sandbox::fence::FenceMode};

/// What the user loses without it.
const ANEW: &str = "each answer with tool calls starts the agent anew";

/// What is left of it where the agent works in a view by its own tools.
const IN_A_VIEW: &str = "in its view the agent works on after a change of a file, and any other call ends \
                         its run";

pub(super) async fn check(context: &Context) -> Checked {
    let turns = context.settings.turns;
    let has_fence = context.settings.fence != FenceMode::Off;
    let otherwise = match turns.collects_changes() && has_fence {
        true => IN_A_VIEW,
        false => ANEW,
    };
    let unserved = |why: &str| format!("no tools are served ({why}): {otherwise}");
    if !turns.serves_tools() {
        let why = format!("--turns {}", turns.name());
        return Ok(CheckResult::info(unserved(&why)));
    }
    if context.bridge.is_some() {
        let text = "runs wait for the results of tools, by Cursor's SDK bridge";
        return Ok(CheckResult::ok(text));
    }
    let program = context.program()?;
    let help = context.query(program, &["--help"], 10).await?.stdout;
    Ok(
        match carrier_problem(program, context.carriers.clone(), &help).await {
            None => {
                CheckResult::ok("runs wait for the results of tools, which the agent gets by MCP")
            }
            Some(problem) => CheckResult::warning(unserved(&problem))
                .hint("update Cursor's CLI with `cursor-agent update`; all works, but slower"),
        },
    )
}

/// One call of a tool, answered while its run waits.
pub(super) async fn round_trip(context: &Context) -> Checked {
    context.needs_agent()?;
    let seen = (context.probes.tool_loop)().await.map_err(unanswered)?;
    let times = format!(
        "call after {:.1} s, answer {:.1} s after its result",
        seen.call.as_secs_f32(),
        seen.answer.as_secs_f32()
    );
    Ok(match seen.starts {
        _ if !seen.called => CheckResult::uncalled(),
        _ if !seen.answered => {
            CheckResult::problem(format!("the result did not reach the model; {times}"))
                .hint("`--turns respawn` starts the agent anew for each result")
        }
        1 => CheckResult::ok(format!(
            "one start of the agent for call and answer; {times}"
        )),
        starts => CheckResult::info(format!("{starts} starts of the agent; {times}")),
    })
}
