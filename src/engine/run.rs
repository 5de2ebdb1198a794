//! One prompt that the agent works on.
//!
//! A run outlives the requests it answers: each borrows it for its [`Answer`] until the run asks
//! for calls of the client's tools, ends, or fails. What lives as long as the run is here: the
//! agent, the translator, the calls it waits for, its permit.

mod calls;
mod events;
mod last_word;

use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};

use tokio::{
    task::yield_now,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::Span;

use self::{
    calls::Pending,
    last_word::{LastWord, Originals},
};
use super::{
    Budgets,
    admission::Permit,
    answer::Answer,
    failure::{over_time, shutting_down, silent},
    source::RunSource,
};
use crate::{
    agent::{AgentEvent, AgentRun},
    boundary::{Fact, ReadyCall, Translator},
    turn::{FinishReason, Message, TurnError, Usage},
};

/// What is read from an agent that nobody listens to, in events. Then it has to wait.
const BACKLOG: usize = 4096;

/// One prompt that the agent works on. Dropping it cancels it.
pub(super) struct Run<S: RunSource = AgentRun> {
    agent: S,
    translator: Translator,
    model: String,
    started: bool,
    /// Events that were read and not taken yet.
    backlog: VecDeque<AgentEvent>,
    /// When the first and the last of the pending calls came.
    settling: Option<(Instant, Instant)>,
    /// The calls that the run waits for.
    pending: Vec<Pending>,
    /// Their ids, and those of all before.
    known: HashSet<String>,
    permit: Option<Permit>,
    /// Since when it waits for a client, or did last.
    parked_at: Option<Instant>,
    /// What files held before the agent changed them; nothing if a change ends the run.
    originals: Option<Originals>,
    /// Once the agent has ended and its changes are on their way to the client.
    last_word: Option<LastWord>,
    /// What the agent said that the whole run cost.
    usage: Option<Usage>,
    /// What the clients of its answers were told so far that it cost.
    pub reported: Option<Usage>,
    span: Span,
}

/// Why a request has to stop borrowing the run.
pub(super) enum Pause {
    /// The run asks for calls. It waits for their results if it [can](Run::waits_for).
    Calls(Vec<ReadyCall>),
    /// The run came to its own end, or was stopped with an explanation.
    Finished,
    /// The answer is as long as the client allows.
    Cut(FinishReason),
    /// The agent can't be given the client's tools; nothing was sent to the client.
    NotServed,
    /// What the run did is void; another one has to do it, with this added to the conversation.
    Again(Option<[Message; 2]>),
    /// The run failed.
    Failed(TurnError),
    /// Nobody listens.
    Gone,
}

impl<S: RunSource> Run<S> {
    /// A run that has just been started. `model` is the one that the turn asked for. With `collects` an
    /// agent with a view of its own works on after a change.
    pub fn new(
        agent: S,
        translator: Translator,
        model: &str,
        permit: Permit,
        collects: bool,
    ) -> Self {
        let span = tracing::info_span!("run", kind = agent.kind(), pid = agent.pid(),);
        let mut run = Self {
            agent,
            translator,
            model: model.to_owned(),
            started: false,
            backlog: VecDeque::new(),
            settling: None,
            pending: Vec::new(),
            known: HashSet::new(),
            permit: Some(permit),
            parked_at: None,
            originals: None,
            last_word: None,
            usage: None,
            reported: None,
            span,
        };
        if run.agent.can_wait() {
            run.tell(Fact::ServedTools);
        } else if !run.agent.has_view() {
            run.tell(Fact::NoView);
        } else if collects {
            run.originals = Some(Originals::default());
            run.tell(Fact::CollectsChanges);
        }
        run
    }

    /// Tells the translator something before it has taken any event.
    pub fn tell(&mut self, fact: Fact) {
        self.translator.learn(fact, &mut Vec::new());
    }

    /// Cursor's id of its model.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// How long ago it began to wait.
    pub fn parked(&self) -> Duration {
        self.parked_at.map(|at| at.elapsed()).unwrap_or_default()
    }

    /// Whether it was stopped over its calls.
    pub fn stopped_by_guard(&self) -> bool {
        self.translator.stopped_by_guard()
    }

    /// What the agent said that the run cost, once it has ended by itself.
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// Notes what a client was told that its answer cost.
    pub fn report(&mut self, usage: Option<Usage>) {
        self.reported = match (self.reported, usage) {
            (Some(sum), Some(usage)) => Some(sum + usage),
            (sum, usage) => sum.or(usage),
        };
    }

    /// The run waits from now on, and counts as running no more.
    pub fn release_permit(&mut self) -> Option<Permit> {
        self.parked_at = Some(Instant::now());
        self.permit.take()
    }

    /// Relays the agent's events until there is something else to do. All of a read's events are
    /// sent as one batch.
    pub async fn drive(
        &mut self,
        answer: &mut Answer<'_>,
        budgets: Budgets,
        begun: Instant,
        stop: &CancellationToken,
    ) -> Pause {
        if let Some(pause) = self.say_last_word(answer) {
            return pause;
        }
        let deadline = budgets.deadline(begun);
        let mut last = Instant::now();
        let mut read = Vec::new();
        loop {
            while let Some(event) = self.backlog.pop_front() {
                if matches!(event, AgentEvent::Finished(_)) && answer.has_news() {
                    // Its last words are on their way before the end is worked out.
                    if !answer.flush().await {
                        return Pause::Gone;
                    }
                    yield_now().await;
                }
                if let Some(pause) = self.take(event, answer).await {
                    return pause;
                }
            }
            if !answer.flush().await {
                return Pause::Gone;
            }
            let silence = budgets.next(self.started, self.translator.open_tool().as_ref());
            let wake = self
                .settle_at()
                .unwrap_or_else(|| budgets.after(last, silence));
            tokio::select! {
                biased;
                () = stop.cancelled() => return self.failed(shutting_down(), answer).await,
                step = self.agent.next(&mut read) => {
                    last = Instant::now();
                    self.backlog.extend(read.drain(..));
                    if let Err(error) = step {
                        return self.broken(error, answer).await;
                    }
                }
                () = sleep_until(wake.min(deadline)) => {
                    if let Some(pause) = self.settle(answer).await {
                        return pause;
                    }
                    let now = Instant::now();
                    if now >= deadline {
                        return Pause::Failed(over_time(begun.elapsed()));
                    }
                    if now >= budgets.after(last, silence) {
                        let open = self.translator.open_tool();
                        return Pause::Failed(silent(silence, self.started, open.as_ref()));
                    }
                }
            }
        }
    }

    /// Takes events while no request borrows the run. Returns, with the reason, when it can't be
    /// continued any more.
    pub async fn wait(&mut self) -> &'static str {
        let mut read = Vec::new();
        loop {
            if self.backlog.len() >= BACKLOG || self.last_word.is_some() {
                return std::future::pending().await;
            }
            let step = self.agent.next(&mut read).await;
            for event in read.drain(..) {
                match &event {
                    AgentEvent::CallGivenUp(key)
                        if self.pending.iter().any(|p| p.key == Some(*key)) =>
                    {
                        return "the agent gave up waiting for a result";
                    }
                    AgentEvent::Finished(_) => return "the agent finished without the results",
                    _ => self.backlog.push_back(event),
                }
            }
            if step.is_err() {
                return "the agent ended";
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
