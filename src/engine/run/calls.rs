//! The calls that a run waits for: which the client has, and what it answers.

use std::collections::HashSet;

use super::{Run, RunSource};
use crate::{
    agent::CallKey,
    boundary::{self, ReadyCall, Source},
    engine::{admission::Permit, continuation::Delivery},
    turn::{ToolCall, Turn},
};

/// A call that the run waits for.
pub(super) struct Pending {
    pub call: ToolCall,
    /// What the agent waits by; `None` for a change that it has made in its view.
    pub key: Option<CallKey>,
    /// Whether the client has it.
    pub given: bool,
}

impl<S: RunSource> Run<S> {
    /// The ids of the calls that the client has and did not answer.
    pub fn open_calls(&self) -> impl Iterator<Item = &str> {
        let given = self.pending.iter().filter(|pending| pending.given);
        given.map(|pending| pending.call.id.as_str())
    }

    /// The ids of all calls that the client was given.
    pub fn known_calls(&self) -> &HashSet<String> {
        &self.known
    }

    /// Gives the agent the results that a request brings, with what the user says beside them and
    /// a hint to the model. From now on the run counts as running.
    pub fn resume(
        &mut self,
        turn: &Turn,
        results: Vec<Delivery>,
        notes: &[String],
        permit: Permit,
    ) {
        self.permit = Some(permit);
        self.translator.begin(turn);
        self.deliver(results, notes);
    }

    /// Gives the agent results of calls that it made for this same request, whose conversation has
    /// grown by them.
    pub fn answer(&mut self, turn: &Turn, results: Vec<Delivery>, notes: &[String]) {
        self.translator.recall(turn);
        self.deliver(results, notes);
    }

    /// Gives the agent results while it waits for others.
    pub fn give(&mut self, results: Vec<Delivery>) {
        self.deliver(results, &[]);
    }

    fn deliver(&mut self, results: Vec<Delivery>, notes: &[String]) {
        let last = results.len().saturating_sub(1);
        if let Some(word) = &mut self.last_word {
            // The run has ended, so its model can't read them.
            word.is_void |= !notes.is_empty();
        }
        for (at, delivery) in results.into_iter().enumerate() {
            let Delivery { mut result, files } = delivery;
            if at == last {
                for note in notes {
                    result.content.push_str("\n\n");
                    result.content.push_str(note);
                }
            }
            let id = &result.call_id;
            let Some(place) = self.pending.iter().position(|p| p.call.id == *id) else {
                continue;
            };
            let key = self.pending.remove(place).key;
            match (key, &mut self.last_word) {
                (Some(key), _) => self.agent.reply(key, &result, &files),
                (None, Some(word)) => word.is_void |= boundary::is_failure(&result),
                (None, None) => {}
            }
        }
    }

    /// The calls that the agent waits for and nobody has got yet.
    pub fn new_calls(&self) -> Vec<ToolCall> {
        let new = self.pending.iter().filter(|pending| !pending.given);
        new.map(|pending| pending.call.clone()).collect()
    }

    /// Calls that the agent waits for and that go to the client before anything else: those that it
    /// did not answer, under the same ids, or that it has not got yet.
    pub fn calls_due(&mut self, parallel: bool) -> Vec<ToolCall> {
        let most = if parallel { usize::MAX } else { 1 };
        let mut due = Vec::new();
        for pending in self.pending.iter_mut().take(most) {
            pending.given = true;
            self.known.insert(pending.call.id.clone());
            due.push(pending.call.clone());
        }
        due
    }

    /// Whether the run waits for all these calls. Then they are kept as such, and
    /// [`Run::calls_due`] tells which of them go out now.
    pub fn waits_for(&mut self, calls: &[ReadyCall]) -> bool {
        let key = |ready: &ReadyCall| match ready.source {
            Source::Held(key) => Some(Some(key)),
            Source::Change => Some(None),
            Source::Native | Source::Text => None,
        };
        let Some(keys) = calls.iter().map(key).collect::<Option<Vec<_>>>() else {
            return false;
        };
        let pending = calls.iter().zip(keys).map(|(ready, key)| Pending {
            call: ready.call.clone(),
            key,
            given: false,
        });
        self.pending.extend(pending);
        // The client executes them in the order of the model.
        let (agent, at) = (
            &self.agent,
            self.pending.iter().take_while(|p| p.given).count(),
        );
        let place = |pending: &Pending| agent.place(pending.key?);
        self.pending[at..].sort_by_key(|pending| place(pending).unwrap_or(usize::MAX));
        true
    }
}
