//! What the agent did becomes what the client sees: the state of one run.
//!
//! It lives as long as the run, which may answer several requests of the client:
//! [`Translator::begin`] tells it about each. It looks nothing up itself. Where it has to know more
//! than events tell, it asks by [`Verdict::Need`] and continues when it is given the [`Fact`].

mod calls;
mod collect;
mod text;

use std::{
    collections::HashSet,
    ops::ControlFlow::{self, Break, Continue},
    path::Path,
};

use self::collect::CollectedChanges;
use super::{
    BoundaryOptions, Fact, Need, OpenTool, Source, Verdict, batch::Batch, decide::Decider,
    history::History, in_flight::InFlight, segments::Segments, text_calls::Recognizer,
};
use crate::{
    agent::AgentEvent,
    turn::{Delta, FinishReason, Turn},
};

/// Turns one run's events into what the client sees.
#[derive(Debug)]
pub struct Translator {
    decider: Decider,
    segments: Segments,
    /// The same for reasoning.
    thoughts: Segments,
    recognizer: Recognizer,
    batch: Batch,
    /// The changes of a run that works on in its view.
    collected: Option<CollectedChanges>,
    in_flight: InFlight,
    /// Native ids of calls that have their place in an answer.
    taken: HashSet<String>,
    /// Whether the answer has any text.
    spoke: bool,
    /// Whether an edit is complete whose change the agent's view can tell.
    changes_due: bool,
    /// The files whose changes no call can carry, as far as the engine does not know of them.
    lost: Vec<String>,
    /// The agent's own directory, if the client's is not known.
    own_directory: Option<String>,
    /// What waits for a fact.
    waiting: Option<Waiting>,
    stopped: bool,
    /// Of a run that ended by itself, with changes that went to the client.
    last_word: Option<String>,
    /// Whether the client was told why the run is stopped.
    explained: bool,
}

/// Breaks with [`Verdict::Calls`] or [`Verdict::Stop`]: what follows belongs to what comes after it.
type Flow = ControlFlow<Verdict>;

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
        let decider = Decider::new(turn, workspace, options);
        Self {
            recognizer: Recognizer::new(options.text_calls, decider.has_tools()),
            decider,
            segments: Segments::default(),
            thoughts: Segments::default(),
            batch: Batch::new(workspace),
            collected: None,
            in_flight: InFlight::default(),
            taken: HashSet::new(),
            spoke: false,
            changes_due: false,
            lost: Vec::new(),
            own_directory: None,
            waiting: None,
            stopped: false,
            last_word: None,
            explained: false,
        }
    }

    /// The run continues for another request of the client, whose transcript tells more. The tools
    /// stay those that the run began with.
    pub fn begin(&mut self, turn: &Turn) {
        self.recall(turn);
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
        self.decider.history = History::new(turn);
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
        if self.changes_due || self.is_outdated() {
            self.waiting = Some(Waiting::Settle);
            return Verdict::Need(Need::Changes);
        }
        let settled = self.close_all(out);
        settled.break_value().unwrap_or(Verdict::Continue)
    }

    fn close_all(&mut self, out: &mut Vec<Delta>) -> Flow {
        if self.batch.is_settling() {
            self.close(out)?;
        }
        let last = self.recognizer.finish(&self.decider);
        self.pieces(last, out)?;
        self.close(out)?;
        self.close_changes(out)
    }

    /// The files that the agent changed in its view and that no tool of the client can change, since
    /// this was last asked.
    pub fn take_lost(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lost)
    }

    /// Takes a fact, and continues with what waited for it.
    pub fn learn(&mut self, fact: Fact, out: &mut Vec<Delta>) -> Verdict {
        match fact {
            Fact::NoView => self.decider.view = false,
            Fact::PrivateDir(dir) => self.decider.private = Some(dir),
            Fact::OwnDirectory => {
                self.own_directory = self.decider.workspace().to_str().map(str::to_owned);
            }
            Fact::ServedTools => self.decider.leaves_native = true,
            Fact::CollectsChanges => {
                self.decider.collects = true;
                self.collected = Some(CollectedChanges::new(self.decider.workspace()));
            }
            Fact::Exists(file, exists) => {
                if !exists {
                    self.decider.absent.insert(file);
                }
                // It must not ask again.
                if let Some(Waiting::Event(event)) = self.waiting.take() {
                    return self.apply(*event, out);
                }
            }
            Fact::Changes(changes) => {
                self.changes_due = false;
                let is_open = |id: &str| self.in_flight.has(id);
                match &mut self.collected {
                    Some(collected) => collected.look(changes, is_open),
                    None => changes
                        .into_iter()
                        .for_each(|change| self.batch.set_change(change, is_open)),
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
            AgentEvent::Finished(_) if self.is_outdated() => Some(Need::Changes),
            _ => None,
        }
    }

    fn apply(&mut self, event: AgentEvent, out: &mut Vec<Delta>) -> Verdict {
        if let Some(collected) = &mut self.collected {
            collected.is_current = false;
        }
        let taken = self.take(event, out);
        taken.break_value().unwrap_or_else(|| self.standing())
    }

    fn take(&mut self, event: AgentEvent, out: &mut Vec<Delta>) -> Flow {
        match event {
            AgentEvent::Started(_) | AgentEvent::Activity | AgentEvent::CallGivenUp(_) => {
                Continue(())
            }
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
            AgentEvent::ToolStarted(call) => {
                self.tool_event(out)?;
                self.announced(*call, out)
            }
            AgentEvent::ToolCompleted(call) => {
                self.tool_event(out)?;
                self.completed(*call, out)
            }
            AgentEvent::ServedTool => self.tool_event(out),
            AgentEvent::ToolRequested {
                key,
                name,
                arguments,
            } => {
                self.tool_event(out)?;
                // Even one that the client will refuse goes to it: the agent needs an answer.
                let made = self.decider.served(&name, &arguments);
                self.batch.push(Source::Held(key), made, None);
                Continue(())
            }
            AgentEvent::Retrying => {
                self.segments.retrying();
                self.close(out)
            }
            AgentEvent::Finished(result) => {
                if self.batch.is_settling() {
                    self.close(out)?;
                }
                if !result.is_error {
                    let rest = self.segments.finish(&result.text);
                    let pieces = self.recognizer.push(rest, &self.decider);
                    let last = self.recognizer.finish(&self.decider);
                    self.pieces(pieces.into_iter().chain(last), out)?;
                }
                self.close(out)?;
                self.hand_over(out)
            }
        }
    }

    /// What the state asks of the engine.
    fn standing(&self) -> Verdict {
        let is_editing = |it: &CollectedChanges| it.changes.is_waiting();
        if self.batch.is_settling() && !self.collected.as_ref().is_some_and(is_editing) {
            Verdict::Settling
        } else {
            Verdict::Continue
        }
    }

    fn stop(&mut self) -> Flow {
        self.stopped = true;
        Break(Verdict::Stop(FinishReason::Stop))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
