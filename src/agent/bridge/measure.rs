//! What only a run with an account can tell: when it begins to answer, whether the model calls several
//! tools at once, and how long a call may wait.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::Bridge;
use crate::{
    agent::{AgentError, AgentEvent, AgentRun, CallKey, RunRequest},
    turn::{ToolResult, ToolSpec, Usage},
};

/// The tool that the run is offered.
const TOOL: &str = "probe";

/// What it is asked. The two calls are to be made at once.
pub const PROMPT: &str = "This is a test of tool calls. Call the tool `probe` twice in one step, in \
    parallel, once with {\"n\": 1} and once with {\"n\": 2}. When both results are there, answer with \
    the one word done.";

/// How long after the first call others are waited for.
const SIBLINGS: Duration = Duration::from_secs(3);

/// What a run has shown.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measured {
    /// From the request to the first text, reasoning or call.
    pub first_sign: Option<Duration>,
    /// How many calls came at once.
    pub calls: usize,
    /// From the first of them to the last.
    pub apart: Duration,
    /// How long the first of them waited.
    pub held: Duration,
    /// Whether the bridge gave a call up meanwhile.
    pub given_up: bool,
    /// What the run cost.
    pub usage: Option<Usage>,
}

/// Runs `prompt` on `model`, answers its calls after `hold`, and waits for the end.
///
/// # Errors
/// Why the run failed; what it had shown until then is lost.
pub async fn measure(
    bridge: &Bridge,
    model: &str,
    prompt: &str,
    hold: Duration,
) -> Result<Measured, AgentError> {
    let schema =
        json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
    let request = RunRequest {
        model: model.to_owned(),
        tools: vec![ToolSpec {
            name: TOOL.to_owned(),
            description: "Answers after a while.".to_owned(),
            schema: schema.into(),
        }],
        ..RunRequest::default()
    };
    let begun = Instant::now();
    let (run, _) = bridge.start(request, |_| prompt.to_owned()).await?;
    let mut run = AgentRun::Bridge(Box::new(run));
    let mut seen = Measured::default();
    let mut waiting: Vec<(CallKey, Instant)> = Vec::new();
    let mut answer_at: Option<Instant> = None;
    loop {
        let mut events = Vec::new();
        match answer_at {
            None => run.next(&mut events).await?,
            Some(at) => match timeout_at(at, run.next(&mut events)).await {
                Ok(step) => step?,
                Err(_) => {
                    answer_at = None;
                    let first = waiting.first();
                    seen.held = first.map_or(Duration::ZERO, |(_, came)| came.elapsed());
                    for (key, _) in waiting.drain(..) {
                        let result = ToolResult {
                            call_id: String::new(),
                            name: None,
                            content: "ok".to_owned(),
                            is_error: false,
                        };
                        run.reply(key, &result, &[]);
                    }
                }
            },
        }
        for event in events {
            let is_sign = matches!(
                event,
                AgentEvent::TextDelta(_)
                    | AgentEvent::Thinking(_)
                    | AgentEvent::ToolRequested { .. }
            );
            if is_sign {
                seen.first_sign.get_or_insert_with(|| begun.elapsed());
            }
            match event {
                AgentEvent::ToolRequested { key, .. } => {
                    let now = Instant::now();
                    let first = waiting.first().map_or(now, |(_, came)| *came);
                    // Calls after an answer are another step of the model.
                    let is_first_step = seen.held.is_zero();
                    if is_first_step && now - first < SIBLINGS {
                        seen.calls += 1;
                        seen.apart = now - first;
                    }
                    waiting.push((key, now));
                    answer_at.get_or_insert(if is_first_step { now + hold } else { now });
                }
                AgentEvent::CallGivenUp(key) => {
                    seen.given_up = true;
                    let place = waiting.iter().position(|(other, _)| *other == key);
                    if let Some((_, came)) = place.map(|place| waiting.remove(place)) {
                        seen.held = came.elapsed();
                    }
                }
                AgentEvent::Finished(result) => {
                    seen.usage = result.usage;
                    return Ok(seen);
                }
                _ => {}
            }
        }
    }
}
