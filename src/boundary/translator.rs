//! What the agent did becomes what the client sees: the state of one run.
//!
//! It lives as long as the run, which may answer several requests of the client:
//! [`Translator::begin`] tells it about each. It looks nothing up itself. Where it has to know more
//! than events tell, it asks by [`Verdict::Need`] and continues when it is given the [`Fact`].

use std::{collections::HashSet, path::Path};

use serde_json::{Map, Value};

use super::{
    BoundaryOptions, Fact, Mode, Need, OpenTool, ReadyCall, Source, Verdict,
    batch::{Batch, CallOrigin, Ready},
    catalog::{ClientCall, ToolCatalog},
    change::FileChange,
    decide::{Decider, Decision},
    guard,
    history::History,
    ids,
    in_flight::InFlight,
    native,
    segments::Segments,
    text_calls::{Piece, Recognizer},
};
use crate::{
    agent::{AgentEvent, CallKey, NativeCall},
    turn::{Activity, Delta, FinishReason, ToolCall, Turn},
};

/// Turns one run's events into what the client sees.
#[derive(Debug)]
pub struct Translator {
    decider: Decider,
    options: BoundaryOptions,
    parallel: bool,
    segments: Segments,
    /// The same for reasoning.
    thoughts: Segments,
    recognizer: Recognizer,
    batch: Batch,
    in_flight: InFlight,
    /// Native ids of calls that have their place in an answer.
    taken: HashSet<String>,
    /// Whether the answer has any text.
    spoke: bool,
    /// Whether an edit is complete whose change the agent's view can tell.
    changes_due: bool,
    /// The files whose changes no call can carry, as far as the engine does not know of them.
    lost: Vec<String>,
    /// What waits for a fact.
    waiting: Option<Waiting>,
    stopped: bool,
    /// Whether the client was told why the run is stopped.
    explained: bool,
}

/// What continues when a fact is known.
#[derive(Debug)]
enum Waiting {
    Event(Box<AgentEvent>),
    Settle,
}

impl Translator {
    /// A translator for one run. `workspace` is the client's directory, which relative paths mean.
    #[must_use]
    pub fn new(turn: &Turn, workspace: &Path, options: &BoundaryOptions) -> Self {
        let decider = Decider::new(
            ToolCatalog::new(turn, workspace),
            History::new(turn),
            options,
            turn.parallel_tool_calls,
        );
        Self {
            recognizer: Recognizer::new(options.text_calls, decider.has_tools()),
            decider,
            options: options.clone(),
            parallel: turn.parallel_tool_calls,
            segments: Segments::default(),
            thoughts: Segments::default(),
            batch: Batch::new(workspace),
            in_flight: InFlight::default(),
            taken: HashSet::new(),
            spoke: false,
            changes_due: false,
            lost: Vec::new(),
            waiting: None,
            stopped: false,
            explained: false,
        }
    }

    /// The run continues for another request of the client, whose transcript tells more. The tools
    /// stay those that the run began with.
    pub fn begin(&mut self, turn: &Turn) {
        self.decider.begin(History::new(turn));
        self.spoke = false;
        self.explained = false;
    }

    /// Whether the answer was ended over calls that go in a circle or can't be made valid.
    #[must_use]
    pub fn stopped_by_guard(&self) -> bool {
        self.explained
    }

    /// The transcript has grown while the run went on for the same request.
    pub fn recall(&mut self, turn: &Turn) {
        self.decider.begin(History::new(turn));
    }

    /// Takes one agent event; appends what the client is to see. After [`Verdict::Stop`], events are
    /// ignored.
    pub fn on_event(&mut self, event: AgentEvent, out: &mut Vec<Delta>) -> Verdict {
        if self.stopped {
            return Verdict::Continue;
        }
        match self.need(&event) {
            Some(need) => {
                self.waiting = Some(Waiting::Event(Box::new(event)));
                Verdict::Need(need)
            }
            None => self.apply(event, out),
        }
    }

    /// The grace for siblings of an announced call is over, or the agent is gone: what is pending
    /// goes out, and text that was held back as the possible begin of a call.
    pub fn settle(&mut self, out: &mut Vec<Delta>) -> Verdict {
        if self.stopped {
            return Verdict::Continue;
        }
        if self.changes_due {
            self.waiting = Some(Waiting::Settle);
            return Verdict::Need(Need::Changes);
        }
        if self.batch.is_settling() {
            let verdict = self.close(out);
            if verdict.is_end() {
                return verdict;
            }
        }
        let last = self.recognizer.finish(&self.decider);
        let verdict = self.pieces(last, out);
        if verdict.is_end() {
            return verdict;
        }
        self.close(out)
    }

    /// The files that the agent changed in its view and that no tool of the client can change, since
    /// this was last asked.
    pub fn take_lost(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lost)
    }

    /// Takes a fact, and continues with what waited for it.
    pub fn learn(&mut self, fact: Fact, out: &mut Vec<Delta>) -> Verdict {
        match fact {
            Fact::NoView => self.decider.without_view(),
            Fact::PrivateDir(dir) => self.decider.set_private(dir),
            Fact::ServedTools => self.decider.leave_native(),
            Fact::Exists(file, exists) => {
                if !exists {
                    self.decider.set_absent(file);
                }
                // It must not ask again.
                if let Some(Waiting::Event(event)) = self.waiting.take() {
                    return self.apply(*event, out);
                }
            }
            Fact::Changes(changes) => {
                self.changes_due = false;
                for change in changes {
                    self.batch.set_change(change, |id| self.in_flight.has(id));
                }
            }
        }
        match self.waiting.take() {
            Some(Waiting::Event(event)) => self.on_event(*event, out),
            Some(Waiting::Settle) => self.settle(out),
            None => Verdict::Continue,
        }
    }

    /// The native tool that is being executed; of several the one with the longest limit.
    #[must_use]
    pub fn open_tool(&self) -> Option<OpenTool> {
        self.in_flight.longest()
    }

    /// What has to be known before the event can be taken.
    fn need(&self, event: &AgentEvent) -> Option<Need> {
        if self.changes_due {
            return Some(Need::Changes);
        }
        match event {
            AgentEvent::ToolStarted(call) | AgentEvent::ToolCompleted(call) => {
                self.decider.asks_about(call).map(Need::Exists)
            }
            _ => None,
        }
    }

    fn apply(&mut self, event: AgentEvent, out: &mut Vec<Delta>) -> Verdict {
        match event {
            AgentEvent::Started(_) | AgentEvent::Activity => self.standing(),
            AgentEvent::TextDelta(text) => {
                let new = self.segments.delta(text);
                self.text(new, out)
            }
            AgentEvent::TextSegment { text, before_tools } => {
                let new = self.segments.segment(text, before_tools);
                self.text(new, out)
            }
            AgentEvent::Thinking(text) => {
                let new = self.thoughts.delta(text);
                self.thought(new, out)
            }
            AgentEvent::ThinkingSegment(text) => {
                let new = self.thoughts.segment(text, false);
                self.thought(new, out)
            }
            AgentEvent::ToolStarted(call) => match self.tool_event(out) {
                end if end.is_end() => end,
                _ => self.announced(call, out),
            },
            AgentEvent::ToolCompleted(call) => match self.tool_event(out) {
                end if end.is_end() => end,
                _ => self.completed(call, out),
            },
            AgentEvent::ServedTool => self.tool_event(out),
            AgentEvent::ToolRequested {
                key,
                name,
                arguments,
            } => match self.tool_event(out) {
                end if end.is_end() => end,
                _ => self.requested(key, &name, &arguments),
            },
            AgentEvent::CallGivenUp(_) => self.standing(),
            AgentEvent::Retrying => {
                self.segments.retrying();
                self.close(out)
            }
            AgentEvent::Finished(result) => {
                if self.batch.is_settling() {
                    let verdict = self.close(out);
                    if verdict.is_end() {
                        return verdict;
                    }
                }
                if !result.is_error {
                    let rest = self.segments.finish(&result.text);
                    let pieces = self.recognizer.push(rest, &self.decider);
                    let last = self.recognizer.finish(&self.decider);
                    let verdict = self.pieces(pieces.into_iter().chain(last), out);
                    if verdict.is_end() {
                        return verdict;
                    }
                }
                match self.close(out) {
                    end if end.is_end() => end,
                    _ => self.stop(FinishReason::Stop),
                }
            }
        }
    }

    /// New answer text, which may hold calls.
    fn text(&mut self, text: String, out: &mut Vec<Delta>) -> Verdict {
        if text.is_empty() {
            return self.standing();
        }
        let pieces = self.recognizer.push(text, &self.decider);
        self.pieces(pieces, out)
    }

    /// What the recognizer made of the text.
    fn pieces(&mut self, pieces: impl IntoIterator<Item = Piece>, out: &mut Vec<Delta>) -> Verdict {
        for piece in pieces {
            match piece {
                // White space between two calls.
                Piece::Text(text) if self.batch.is_ready() && text.trim().is_empty() => {}
                Piece::Text(text) => {
                    let verdict = self.close(out);
                    if verdict.is_end() {
                        return verdict;
                    }
                    self.spoke |= !text.is_empty();
                    push_text(text, out);
                }
                Piece::Call(made) if self.refuses(&made) => {
                    return self.refuse(&made, out);
                }
                Piece::Call(made) => self.batch.push(CallOrigin::Text, made, None),
            }
        }
        self.standing()
    }

    /// New reasoning: the model's next word after a batch, which is then complete.
    fn thought(&mut self, text: String, out: &mut Vec<Delta>) -> Verdict {
        if text.is_empty() {
            return self.standing();
        }
        match self.close(out) {
            end if end.is_end() => end,
            _ => {
                out.push(Delta::Reasoning(text));
                self.standing()
            }
        }
    }

    /// A tool event: the text before it is complete.
    fn tool_event(&mut self, out: &mut Vec<Delta>) -> Verdict {
        self.segments.tool_event();
        self.thoughts.tool_event();
        let last = self.recognizer.interrupt(&self.decider);
        self.pieces(last, out)
    }

    /// A call that the agent waits for. Even one that the client will refuse goes to the client:
    /// the agent needs an answer.
    fn requested(&mut self, key: CallKey, name: &str, args: &Map<String, Value>) -> Verdict {
        let made = self.decider.served(name, args);
        self.batch.push(CallOrigin::Held(key), made, None);
        self.standing()
    }

    fn announced(&mut self, call: NativeCall, out: &mut Vec<Delta>) -> Verdict {
        let verdict = self.consider(&call, out);
        self.in_flight.announce(call);
        verdict
    }

    fn completed(&mut self, mut call: NativeCall, out: &mut Vec<Delta>) -> Verdict {
        self.in_flight.complete(&mut call);
        if self.edited(&call) {
            return self.standing();
        }
        let verdict = self.consider(&call, out);
        if self.edited(&call) {
            return self.standing();
        }
        self.batch.break_off();
        if !verdict.is_end() && !self.taken.contains(&call.call_id) {
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
        let decision = self.decider.native(call);
        // Even a call that is left to the agent shows that the model has been asked again.
        if !self.batch.admits(call.model_call_id.as_deref()) {
            let verdict = self.close(out);
            if verdict.is_end() {
                return verdict;
            }
        }
        match decision {
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
                    let origin = CallOrigin::Native(call.call_id.clone());
                    self.batch.push(origin, made, native::edited_file(call));
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

    /// The batch is complete: if it holds anything, it goes out.
    fn close(&mut self, out: &mut Vec<Delta>) -> Verdict {
        if !self.batch.is_ready() {
            return Verdict::Continue;
        }
        let mut calls = Vec::new();
        let mut changes = Vec::new();
        let mut place = 0;
        for ready in self.batch.take() {
            match ready {
                Ready::Call(origin, made) => calls.push((origin.source(), made)),
                Ready::Change(change) => {
                    if changes.is_empty() {
                        place = calls.len();
                    }
                    changes.push(change);
                }
            }
        }
        let (made, lost) = self.decider.changes(&changes);
        self.lost.extend(lost);
        let made = made.into_iter().map(|made| (Source::Native, made));
        calls.splice(place..place, made);
        // The agent waits for the others: they go out later.
        let held = |(source, _): &(Source, ClientCall)| matches!(source, Source::Held(_));
        if !self.parallel && !calls.iter().all(held) {
            calls.truncate(1);
        }
        if calls.is_empty() {
            return Verdict::Continue;
        }
        if self.options.mode == Mode::V1 {
            let made: Vec<&ClientCall> = calls.iter().map(|(_, made)| made).collect();
            let limit = self.options.max_repeat;
            if let Some(reason) = guard::stop(self.decider.history(), &made, limit) {
                self.explain(&reason, out);
                return self.stop(FinishReason::Stop);
            }
        }
        let ready = calls.into_iter().map(|(source, made)| ReadyCall {
            source,
            call: ToolCall {
                id: ids::next(),
                name: made.name,
                arguments: Value::Object(made.arguments).to_string(),
            },
        });
        Verdict::Calls(ready.collect())
    }

    /// Whether a call is not even passed on for the client to refuse.
    fn refuses(&self, made: &ClientCall) -> bool {
        !made.problems.is_empty() && !self.options.auto_fallback
    }

    /// Stops over a call that can't be made valid; the valid ones beside it go out.
    fn refuse(&mut self, made: &ClientCall, out: &mut Vec<Delta>) -> Verdict {
        let reason = format!(
            "Stopped: the call of `{}` does not fit the tool's schema ({}).",
            made.name,
            made.problems.join("; ")
        );
        self.explain(&reason, out);
        match self.close(out) {
            end if end.is_end() => end,
            _ => self.stop(FinishReason::Stop),
        }
    }

    /// Says why the run is stopped, in a paragraph of its own.
    fn explain(&mut self, reason: &str, out: &mut Vec<Delta>) {
        self.explained = true;
        let space = if self.spoke { "\n\n" } else { "" };
        push_text(format!("{space}{reason}"), out);
    }

    fn stop(&mut self, reason: FinishReason) -> Verdict {
        self.stopped = true;
        Verdict::Stop(reason)
    }
}

fn push_text(text: String, out: &mut Vec<Delta>) {
    if !text.is_empty() {
        out.push(Delta::Text(text));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
