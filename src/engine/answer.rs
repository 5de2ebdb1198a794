//! What lives as long as one request: the rules of its output, its meter, and where its answer goes.
//! It knows no run: what the agent said is put into it.

use std::sync::atomic::Ordering;

use super::{
    Counters,
    feed::Feed,
    losses::{LossReason, Losses},
    output::{Next, Shaper},
    progress::TurnProgress,
    usage::{Estimates, Meter},
};
use crate::turn::{
    Activity, Delta, ErrorKind, FinishReason, Message, ToolCall, Turn, TurnEnd, TurnError,
    TurnEvent, Usage,
};

/// Whether a client could not unsee it.
fn is_shown(event: &TurnEvent) -> bool {
    matches!(event, TurnEvent::Delta(Delta::Text(_) | Delta::ToolCall(_)))
}

/// What lives as long as the request: the rules of its output, its meter, and where it goes.
pub(super) struct Answer<'a> {
    counters: &'a Counters,
    estimates: &'a Estimates,
    shaper: Shaper,
    meter: Meter<'a>,
    feed: &'a Feed,
    deltas: Vec<Delta>,
    batch: Vec<TurnEvent>,
    /// What the model wrote since the run began, or since its last calls that were executed here.
    /// `None` if it was too long.
    said: Option<String>,
    /// How long it may be.
    longest_said: usize,
    /// Whether the client has text or calls of it.
    shown: bool,
    /// Whether the answer's text ends within a paragraph.
    open: bool,
    /// Whether what comes next is a new one.
    paragraph: bool,
    /// What earlier runs of the answer cost.
    spent: Option<Usage>,
    /// The usage that the client was sent, once the answer has ended.
    usage: Option<Usage>,
    losses: Losses,
}

impl<'a> Answer<'a> {
    /// An answer to the turn. What the model writes can be [taken](Self::take_said) up to `longest_said`
    /// bytes: an answer of megabytes is not kept where it need not be.
    ///
    /// # Errors
    /// A demanded schema that is not valid.
    pub fn new(
        counters: &'a Counters,
        estimates: &'a Estimates,
        turn: &Turn,
        feed: &'a Feed,
        longest_said: usize,
    ) -> Result<Self, TurnError> {
        Ok(Self {
            counters,
            estimates,
            shaper: Shaper::new(turn)?,
            meter: estimates.meter(turn),
            feed,
            deltas: Vec::new(),
            batch: Vec::new(),
            said: Some(String::new()),
            longest_said,
            shown: false,
            open: false,
            paragraph: false,
            spent: None,
            usage: None,
            losses: Losses::default(),
        })
    }

    /// About how many tokens the request has.
    pub fn asked(&self) -> u64 {
        self.meter.reckoned()
    }

    /// Whether another run may be needed.
    pub fn may_repeat(&self) -> bool {
        self.shaper.may_repeat()
    }

    /// The turn for the next of its fallback models, if the last one's limit is reached and the client
    /// has seen nothing of it.
    pub fn fall_back(
        &self,
        error: &TurnError,
        kept: &mut Option<Turn>,
        progress: &TurnProgress,
    ) -> Option<Turn> {
        if error.kind != ErrorKind::UsageLimit || self.shown || !progress.may_change() {
            return None;
        }
        let mut turn = kept
            .take()
            .filter(|turn| !turn.fallback_models.is_empty())?;
        let next = turn.fallback_models.remove(0);
        tracing::warn!(
            limited = progress.model(),
            next,
            "the limit of a model is reached: the turn goes on with another"
        );
        turn.cursor_model = Some(next);
        Some(turn)
    }

    /// Another run begins, on this turn.
    pub fn restart(&mut self, turn: &Turn) {
        self.meter = self.estimates.meter(turn);
    }

    /// Another run continues with the answer, on this turn; the last one was stopped for calls.
    pub fn another_run(&mut self, turn: &Turn) {
        let mut end = TurnEnd::finished(FinishReason::ToolCalls, None);
        self.meter.end(&mut end);
        self.spent = sum(self.spent, end.usage);
        self.restart(turn);
    }

    /// The usage that the client was sent, once the answer has ended.
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// What the model wrote since the run began, or since its last calls.
    pub fn take_said(&mut self) -> Option<String> {
        self.said.as_mut().map(std::mem::take)
    }

    /// Calls were executed here, and the model continues. What it wrote before them.
    pub fn executed(&mut self) -> String {
        self.shaper.executed(&mut self.batch);
        self.paragraph = self.open;
        self.take_said().unwrap_or_default()
    }

    /// A tool ran here.
    pub fn activity(&mut self, activity: Activity) {
        self.deltas.push(Delta::Activity(Box::new(activity)));
        // It has no text.
        let _ = self.take_deltas();
    }

    /// Says why the answer ends, in a paragraph of its own.
    pub fn explain(&mut self, why: &str) {
        self.paragraph = self.open;
        self.deltas.push(Delta::Text(why.to_owned()));
    }

    /// The agent has begun to work.
    pub fn started(&self) {
        self.feed.started();
    }

    /// The agent came to its own end.
    pub fn finished(&mut self) {
        self.meter.finished();
    }

    /// Where the translator puts what the client is to see.
    pub fn deltas(&mut self) -> &mut Vec<Delta> {
        &mut self.deltas
    }

    /// Takes what the translator put there. `Some` if the answer must end with that.
    pub fn take_deltas(&mut self) -> Option<FinishReason> {
        let mut deltas = self.deltas.drain(..);
        // What follows an early end is dropped with the iterator.
        deltas.find_map(|mut delta| {
            match &mut delta {
                Delta::Activity(activity) => {
                    let Activity { tool, outcome } = &**activity;
                    tracing::debug!(tool, outcome, "a tool ran without the client");
                }
                Delta::Text(text) if !text.is_empty() => {
                    match &mut self.said {
                        Some(said) if said.len() + text.len() <= self.longest_said => {
                            said.push_str(text);
                        }
                        said => *said = None,
                    }
                    if std::mem::take(&mut self.paragraph) {
                        text.insert_str(0, "\n\n");
                    }
                    self.open = !text.ends_with('\n');
                }
                _ => {}
            }
            self.meter.delta(&delta);
            self.shaper.delta(delta, &mut self.batch)
        })
    }

    /// Gives the client calls.
    pub fn calls(&mut self, calls: Vec<ToolCall>) {
        self.say_losses();
        self.deltas.extend(
            calls
                .into_iter()
                .map(|call| Delta::ToolCall(Box::new(call))),
        );
        // No stop sequence is in a call.
        let _ = self.take_deltas();
    }

    /// The agent changed a file and no call can carry that: the model believes that it was done, so
    /// the user has to know.
    pub fn lost_change(&mut self, path: &str, reason: LossReason) {
        if self.losses.add(path, reason) {
            tracing::warn!(path, "a change of the agent is lost: {reason}");
            self.counters.lost_changes.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Says what is lost as text of the answer, unless that is for a program.
    fn say_losses(&mut self) {
        if let Some(note) = self.losses.note()
            && !self.shaper.is_for_a_program()
        {
            self.batch.push(TurnEvent::Delta(Delta::Text(note)));
        }
    }

    /// The agent used a tool of its own that it was not to use.
    pub fn breach(&mut self, tool: &str) {
        tracing::warn!(
            tool,
            "the agent changed something by itself in a run that serves the client's tools"
        );
        self.counters.breaches.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether there is something to send.
    pub fn has_news(&self) -> bool {
        !self.batch.is_empty()
    }

    /// Sends what is there. False if nobody listens any more.
    pub async fn flush(&mut self) -> bool {
        self.shown |= self.batch.iter().any(is_shown);
        self.batch.is_empty() || self.feed.send(std::mem::take(&mut self.batch)).await
    }

    /// Ends the answer with all that is left, to be [flushed](Self::flush). `Some` if it takes another
    /// run instead, with these messages added to the conversation.
    pub fn end(
        &mut self,
        outcome: Result<FinishReason, TurnError>,
        usage: Option<Usage>,
    ) -> Option<[Message; 2]> {
        let mut end = TurnEnd {
            outcome,
            usage,
            lost_changes: self.losses.files(),
        };
        // What the translator still had may be too long.
        if let Some(reason) = self.take_deltas() {
            end.outcome = Ok(reason);
        }
        self.meter.end(&mut end);
        end.usage = sum(self.spent.take(), end.usage);
        match self.shaper.end(end, &mut self.batch) {
            Next::Again(messages) => Some(messages),
            Next::End(end) => {
                self.say_losses();
                self.usage = end.usage;
                self.batch.push(TurnEvent::End(Box::new(end)));
                None
            }
        }
    }
}

fn sum(one: Option<Usage>, other: Option<Usage>) -> Option<Usage> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one + other),
        (one, other) => one.or(other),
    }
}
