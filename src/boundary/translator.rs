//! The state machine of one turn.

mod engine;

use std::collections::HashSet;
use std::path::Path;

use serde_json::Value;

use super::batch::{Batch, Ready};
use super::catalog::{Catalog, ClientCall};
use super::change::FileChange;
use super::decide::{Decider, Decision};
use super::guard;
use super::history::History;
use super::ids::Ids;
use super::in_flight::InFlight;
use super::native;
use super::segments::Segments;
use super::text_calls::{Piece, Recognizer};
use super::{Mode, Options, Verdict};
use crate::agent::{AgentEvent, NativeCall, RunUsage};
use crate::turn::{
    Activity, Delta, ErrorKind, FinishReason, ToolCall, Turn, TurnEnd, TurnError, Usage,
};

/// Turns one run's events into what the client sees.
#[derive(Debug)]
pub struct Translator {
    decider: Decider,
    options: Options,
    parallel: bool,
    ids: Ids,
    segments: Segments,
    recognizer: Recognizer,
    batch: Batch,
    open: InFlight,
    /// Native ids of calls that have their place in an answer.
    taken: HashSet<String>,
    /// Whether the answer has said anything.
    spoke: bool,
    /// How many calls were found in the text.
    recovered: u64,
    /// Whether an edit is complete whose change the agent's view can tell.
    changes_due: bool,
    ended: bool,
}

impl Translator {
    /// A boundary for one turn. `workspace` is the client's directory, which relative paths mean.
    #[must_use]
    pub fn new(turn: &Turn, workspace: &Path, options: &Options) -> Self {
        let decider = Decider::new(
            Catalog::new(turn, workspace),
            History::new(turn),
            options,
            turn.parallel_tool_calls,
        );
        Self {
            recognizer: Recognizer::new(options.text_calls, decider.has_tools()),
            decider,
            options: options.clone(),
            parallel: turn.parallel_tool_calls,
            ids: Ids::new(turn),
            segments: Segments::default(),
            batch: Batch::new(workspace),
            open: InFlight::default(),
            taken: HashSet::new(),
            spoke: false,
            recovered: 0,
            changes_due: false,
            ended: false,
        }
    }

    /// Feeds one agent event; appends what the client is to see. After the end, events are ignored.
    pub fn on_event(&mut self, event: AgentEvent, out: &mut Vec<Delta>) -> Verdict {
        if self.ended {
            return Verdict::Continue;
        }
        match event {
            AgentEvent::Started(_) | AgentEvent::Activity => self.standing(),
            AgentEvent::TextDelta(text) => {
                let new = self.segments.delta(text);
                self.text(new, out)
            }
            AgentEvent::TextSegment(text) => {
                let new = self.segments.segment(text);
                self.text(new, out)
            }
            AgentEvent::Thinking(text) if text.is_empty() => self.standing(),
            AgentEvent::Thinking(text) => self.said(Delta::Reasoning(text), out),
            AgentEvent::ToolStarted(call) => match self.tool_event(out) {
                Verdict::End(end) => Verdict::End(end),
                _ => self.announced(call, out),
            },
            AgentEvent::ToolCompleted(call) => match self.tool_event(out) {
                Verdict::End(end) => Verdict::End(end),
                _ => self.completed(call, out),
            },
            AgentEvent::Retrying => {
                self.segments.retrying();
                self.close(None, out)
            }
            AgentEvent::Finished(result) if result.is_error => self.end(TurnEnd::failed(
                TurnError::new(ErrorKind::AgentFailed, result.text),
            )),
            AgentEvent::Finished(result) => {
                let usage = result.usage.map(usage);
                if !self.batch.is_settling() {
                    let rest = self.segments.finish(&result.text);
                    let pieces = self.recognizer.push(rest, &self.decider);
                    let last = self.recognizer.finish(&self.decider);
                    if let Verdict::End(end) =
                        self.pieces(pieces.into_iter().chain(last), usage, out)
                    {
                        return Verdict::End(end);
                    }
                }
                match self.close(usage, out) {
                    Verdict::End(end) => Verdict::End(end),
                    _ => self.end(TurnEnd::finished(FinishReason::Stop, usage)),
                }
            }
        }
    }

    /// The grace for siblings of an announced call is over, or the agent exited: emits what is
    /// pending.
    pub fn settle(&mut self, out: &mut Vec<Delta>) -> Verdict {
        if self.ended {
            return Verdict::Continue;
        }
        if !self.batch.is_settling() {
            let last = self.recognizer.finish(&self.decider);
            if let Verdict::End(end) = self.pieces(last, None, out) {
                return Verdict::End(end);
            }
        }
        self.close(None, out)
    }

    /// New answer text, which may hold calls.
    fn text(&mut self, text: String, out: &mut Vec<Delta>) -> Verdict {
        if text.is_empty() {
            return self.standing();
        }
        let pieces = self.recognizer.push(text, &self.decider);
        self.pieces(pieces, None, out)
    }

    /// What the recognizer made of the text.
    fn pieces(
        &mut self,
        pieces: impl IntoIterator<Item = Piece>,
        usage: Option<Usage>,
        out: &mut Vec<Delta>,
    ) -> Verdict {
        for piece in pieces {
            match piece {
                // White space between two calls.
                Piece::Text(text) if self.batch.is_ready() && text.trim().is_empty() => {}
                Piece::Text(text) => {
                    if let Verdict::End(end) = self.close(usage, out) {
                        return Verdict::End(end);
                    }
                    self.spoke |= !text.is_empty();
                    push_text(text, out);
                }
                Piece::Call(made) if self.refuses(&made) => {
                    return self.refuse(&made, out);
                }
                Piece::Call(made) => {
                    self.recovered += 1;
                    let origin = format!("{}{:?}", made.name, made.arguments);
                    self.batch.push(&origin, made, None);
                }
            }
        }
        self.standing()
    }

    /// The model's next word after a batch, which is then complete.
    fn said(&mut self, delta: Delta, out: &mut Vec<Delta>) -> Verdict {
        match self.close(None, out) {
            Verdict::End(end) => Verdict::End(end),
            _ => {
                out.push(delta);
                self.standing()
            }
        }
    }

    /// A tool event: the text before it is complete.
    fn tool_event(&mut self, out: &mut Vec<Delta>) -> Verdict {
        self.segments.tool_event();
        let last = self.recognizer.interrupt(&self.decider);
        self.pieces(last, None, out)
    }

    fn announced(&mut self, call: NativeCall, out: &mut Vec<Delta>) -> Verdict {
        let verdict = self.consider(&call, out);
        self.open.announce(call);
        verdict
    }

    fn completed(&mut self, mut call: NativeCall, out: &mut Vec<Delta>) -> Verdict {
        self.open.complete(&mut call);
        if self.edited(&call) {
            return self.standing();
        }
        let verdict = self.consider(&call, out);
        if self.edited(&call) {
            return self.standing();
        }
        self.batch.break_off();
        if !self.ended && !self.taken.contains(&call.call_id) {
            let outcome = call.outcome.map(|outcome| outcome.name);
            out.push(Delta::Activity(Activity {
                tool: call.kind,
                outcome: outcome.unwrap_or_else(|| "unknown".to_owned()),
            }));
        }
        verdict
    }

    /// Takes the end of an edit that the batch waits for.
    fn edited(&mut self, call: &NativeCall) -> bool {
        let waited = self.batch.is_waiting_for(&call.call_id);
        if waited {
            self.changes_due |= call.outcome.as_ref().is_some_and(|o| o.is_success());
            self.batch.complete(&call.call_id, FileChange::of(call));
        }
        waited
    }

    /// Gives a call that carries arguments its place in the batch, if the client executes it.
    fn consider(&mut self, call: &NativeCall, out: &mut Vec<Delta>) -> Verdict {
        let known = !call.call_id.is_empty() && self.taken.contains(&call.call_id);
        if call.args.is_none() || known {
            return self.standing();
        }
        let plan = self.decider.native(call);
        // Even a call that runs on shows that the model has been asked again.
        if !self.batch.admits(call.model_call_id.as_deref())
            && let Verdict::End(end) = self.close(None, out)
        {
            return Verdict::End(end);
        }
        match plan {
            Decision::LeaveToAgent => {}
            Decision::AwaitChange => {
                self.taken.insert(call.call_id.clone());
                self.batch.await_change(&call.call_id);
            }
            Decision::Call(calls) => {
                if let Some(refused) = calls.iter().find(|made| self.refuses(made)) {
                    return self.refuse(refused, out);
                }
                self.taken.insert(call.call_id.clone());
                for made in calls {
                    self.batch
                        .push(&call.call_id, made, native::edited_file(call));
                }
            }
        }
        self.standing()
    }

    /// What the state asks of the engine.
    fn standing(&self) -> Verdict {
        if self.batch.is_settling() {
            Verdict::Settling
        } else {
            Verdict::Continue
        }
    }

    /// The batch is complete: if it holds anything, it goes out and ends the turn.
    fn close(&mut self, usage: Option<Usage>, out: &mut Vec<Delta>) -> Verdict {
        if !self.batch.is_ready() {
            return Verdict::Continue;
        }
        let mut origins = Vec::new();
        let mut calls = Vec::new();
        let mut changes = Vec::new();
        let mut place = 0;
        for ready in self.batch.take() {
            match ready {
                Ready::Call(origin, made) => {
                    origins.push(origin);
                    calls.push(made);
                }
                Ready::Change(change) => {
                    if changes.is_empty() {
                        place = calls.len();
                    }
                    changes.push(change);
                }
            }
        }
        let made = self.decider.changes(&changes);
        origins.splice(place..place, made.iter().map(|_| "change".to_owned()));
        calls.splice(place..place, made);
        if calls.is_empty() {
            return Verdict::Continue;
        }
        if !self.parallel {
            calls.truncate(1);
        }
        if self.options.mode == Mode::V1
            && let Some(reason) =
                guard::stop(self.decider.history(), &calls, self.options.max_repeat)
        {
            self.explain(&reason, out);
            return self.end(TurnEnd::finished(FinishReason::Stop, usage));
        }
        for (made, origin) in calls.into_iter().zip(origins) {
            out.push(Delta::ToolCall(ToolCall {
                id: self.ids.next(&origin),
                name: made.name,
                arguments: Value::Object(made.arguments).to_string(),
            }));
        }
        self.end(TurnEnd::finished(FinishReason::ToolCalls, usage))
    }

    /// Whether a call is not even passed on for the client to refuse.
    fn refuses(&self, made: &ClientCall) -> bool {
        !made.problems.is_empty() && !self.options.auto_fallback
    }

    /// Ends the turn over a call that can't be made valid; the valid ones beside it go out.
    fn refuse(&mut self, made: &ClientCall, out: &mut Vec<Delta>) -> Verdict {
        let reason = format!(
            "Stopped: the call of `{}` does not fit the tool's schema ({}).",
            made.name,
            made.problems.join("; ")
        );
        self.explain(&reason, out);
        match self.close(None, out) {
            Verdict::End(end) => Verdict::End(end),
            _ => self.end(TurnEnd::finished(FinishReason::Stop, None)),
        }
    }

    /// Says why the turn ends, in a paragraph of its own.
    fn explain(&mut self, reason: &str, out: &mut Vec<Delta>) {
        let space = if self.spoke { "\n\n" } else { "" };
        push_text(format!("{space}{reason}"), out);
    }

    fn end(&mut self, end: TurnEnd) -> Verdict {
        self.ended = true;
        Verdict::End(end)
    }
}

fn push_text(text: String, out: &mut Vec<Delta>) {
    if !text.is_empty() {
        out.push(Delta::Text(text));
    }
}

fn usage(run: RunUsage) -> Usage {
    Usage {
        input: run.input,
        output: run.output,
        cache_read: run.cache_read,
        cache_write: run.cache_write,
        reasoning: run.reasoning,
        cost: run.cost,
        estimated: false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
