//! The rounds of our calls in one answer.

use std::{collections::HashSet, path::PathBuf};

use futures::{StreamExt as _, stream::FuturesUnordered};

use super::Exec;
use crate::{
    boundary,
    engine::{EngineConfig, answer::Answer, continuation::Delivery},
    hands::{Executed, OwnTool},
    turn::{Activity, Message, Part, Role, ToolCall, ToolChoice, Turn},
};

/// The most bytes of results in one answer; no model reads more.
const MOST_BYTES: usize = 16 << 20;

/// Our part in one answer.
pub struct Work<'a> {
    exec: &'a Exec,
    max_repeat: u32,
    /// The tools that this request may use.
    ours: Vec<OwnTool>,
    /// The names of the client's own.
    clients: HashSet<String>,
    workspace: Option<PathBuf>,
    /// The conversation with all rounds, for guards and for another run.
    turn: Turn,
    /// Where the rounds begin in it.
    begin: usize,
    steps: u32,
    bytes: usize,
}

impl<'a> Work<'a> {
    pub(super) fn new(
        exec: &'a Exec,
        config: &EngineConfig,
        ours: Vec<OwnTool>,
        clients: HashSet<String>,
        workspace: Option<PathBuf>,
        turn: &Turn,
    ) -> Self {
        Self {
            exec,
            max_repeat: config.boundary.max_repeat,
            ours,
            clients,
            workspace,
            begin: turn.messages.len(),
            turn: turn.clone(),
            steps: 0,
            bytes: 0,
        }
    }

    pub(super) fn is_ours(&self, call: &ToolCall) -> bool {
        !self.clients.contains(&call.name)
    }

    pub(super) fn note(&self) -> Option<&'static str> {
        let only_reads = !self.ours.is_empty() && self.ours.iter().all(|tool| tool.only_reads);
        (only_reads && self.clients.is_empty()).then_some(
            "No tool of this conversation changes files, and edits by your own tools do not reach the \
             user's files. Where the user asks for a change, say that it can't be made here, and show \
             what it would be.",
        )
    }

    /// The conversation with all rounds.
    pub fn turn(&self) -> &Turn {
        &self.turn
    }

    /// The rounds of this answer.
    pub fn rounds(&self) -> &[Message] {
        &self.turn.messages[self.begin..]
    }

    /// Why there may be no further round.
    pub fn limit(&self) -> Option<String> {
        let most = self.exec.max_steps.get();
        if self.steps >= most {
            let rounds = if most == 1 {
                "1 round".to_owned()
            } else {
                format!("{most} rounds")
            };
            return Some(format!(
                "Stopped: {rounds} of tool calls were executed for this answer (--exec-max-steps)."
            ));
        }
        (self.bytes > MOST_BYTES).then(|| {
            let most = MOST_BYTES >> 20;
            format!("Stopped: the tools' results for this answer are longer than {most} MiB.")
        })
    }

    /// Makes a round of calls: side by side where none changes anything, else one after the other.
    /// `None` if the client is gone.
    pub async fn execute(
        &mut self,
        calls: Vec<ToolCall>,
        answer: &mut Answer<'_>,
    ) -> Option<Vec<Delivery>> {
        self.steps += 1;
        let mut done: Vec<Option<Executed>> = vec![None; calls.len()];
        let mut next = 0;
        while next < calls.len() {
            let reading = calls[next..]
                .iter()
                .take_while(|call| self.only_reads(call))
                .count();
            let group = next..next + reading.max(1);
            let this = &*self;
            let mut running: FuturesUnordered<_> = group
                .clone()
                .map(|at| {
                    let call = &calls[at];
                    async move { (at, this.one(call).await) }
                })
                .collect();
            while let Some((at, executed)) = running.next().await {
                let outcome = if executed.result.is_error {
                    "error"
                } else {
                    "success"
                };
                answer.activity(Activity {
                    tool: calls[at].name.clone(),
                    outcome: outcome.to_owned(),
                });
                if !answer.flush().await {
                    return None;
                }
                done[at] = Some(executed);
            }
            next = group.end;
        }
        let done: Vec<Executed> = done.into_iter().flatten().collect();
        self.remember(calls, &done, answer.executed());
        let deliveries = done
            .into_iter()
            .map(|Executed { result, files }| Delivery { result, files });
        Some(deliveries.collect())
    }

    /// What the model should be told beside the results.
    pub fn hint(&self) -> Option<String> {
        boundary::hint(&self.turn, self.max_repeat)
    }

    fn only_reads(&self, call: &ToolCall) -> bool {
        self.tool(call).is_some_and(|tool| tool.only_reads)
    }

    fn tool(&self, call: &ToolCall) -> Option<&OwnTool> {
        self.ours.iter().find(|tool| tool.spec.name == call.name)
    }

    async fn one(&self, call: &ToolCall) -> Executed {
        if self.tool(call).is_none() {
            return Executed::failed(call, "error: this request may not use the tool".to_owned());
        }
        let begun = std::time::Instant::now();
        let executed = self
            .exec
            .toolbox
            .execute(call, self.workspace.as_deref())
            .await;
        tracing::trace!(
            tool = call.name,
            arguments = call.arguments,
            "a tool's arguments"
        );
        tracing::debug!(
            tool = call.name,
            is_error = executed.result.is_error,
            bytes = executed.result.content.len(),
            ms = begun.elapsed().as_millis(),
            "a tool was executed"
        );
        executed
    }

    /// Adds a round to the conversation. `said` is what the model wrote before it called.
    fn remember(&mut self, calls: Vec<ToolCall>, done: &[Executed], said: String) {
        let said = (!said.trim().is_empty()).then_some(Part::Text(said));
        let calls = calls.into_iter().map(Part::ToolCall);
        let asks = Message {
            role: Role::Assistant,
            parts: said.into_iter().chain(calls).collect(),
        };
        let results = done.iter().flat_map(|Executed { result, files }| {
            let files = files.iter().cloned().map(Part::Attachment);
            std::iter::once(Part::ToolResult(result.clone())).chain(files)
        });
        let answers = Message {
            role: Role::Tool,
            parts: results.collect(),
        };
        self.bytes += asks.size() + answers.size();
        self.turn.messages.extend([asks, answers]);
        // A tool was called, which is what it demands.
        if matches!(
            self.turn.tool_choice,
            ToolChoice::Required | ToolChoice::Named(_)
        ) {
            self.turn.tool_choice = ToolChoice::Auto;
        }
    }
}
