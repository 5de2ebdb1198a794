//! One request: from the turn to the end of its answer.
//!
//! This is the whole story. A request resumes a run that waits for what it brings, or starts one;
//! it borrows the run until that asks for the client's tools, and then either executes them here
//! ([`Hands::Server`](super::Hands)) or ends and leaves the run to wait for the client.

mod calls;
mod ending;

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    Shared,
    admission::Permit,
    answer::Answer,
    attachments,
    callers::Caller,
    continuation::{Continuation, Fingerprint},
    failure::shutting_down,
    feed::Feed,
    hands::Hands,
    progress::{Phase, RunOrigin},
    run::{Pause, Run},
    runs::{Claim, Terms},
    start::{Beginning, start},
    stream::Sender,
};
use crate::{
    boundary,
    dump::Dump,
    prompt,
    turn::{CallerKey, Message, Turn, TurnEnd, TurnError, TurnEvent},
};

/// How long a run has for its last word when the server stops.
const LAST_WORD: Duration = Duration::from_millis(100);

/// How long a conversation may be to be kept with a parked run, in bytes.
const LONGEST_KEPT: usize = 4 << 20;

/// Whether a conversation is short enough for that.
fn is_kept(turn: &Turn) -> bool {
    turn.messages.iter().map(Message::size).sum::<usize>() <= LONGEST_KEPT
}

/// How long an answer may be whose end is kept with a parked run, in bytes.
const LONGEST_SAID: usize = 1 << 20;

/// Answers the turn, unless the client hangs up or the server stops meanwhile.
pub(super) async fn answer(shared: Arc<Shared>, turn: Turn, dump: Option<Dump>, sender: Sender) {
    let (feed, resume) = match shared.runs.claim(&turn, sender.clone()) {
        Claim::Replayed => return,
        Claim::Resume(id, continuation, feed) => (feed, Some((id, continuation))),
        Claim::Fresh(feed) => (feed, None),
    };
    answer_to(shared, turn, resume, dump, feed, sender).await;
}

/// The same for a turn that is known to resume a run, or not to. The answer goes to `feed`, and what
/// becomes known of it to `sender`.
pub(super) async fn answer_to(
    shared: Arc<Shared>,
    turn: Turn,
    resume: Option<(u64, Continuation)>,
    dump: Option<Dump>,
    feed: Feed,
    sender: Sender,
) {
    let answered = async {
        // Boxed is whatever comes before and after the relaying: a task is as large as its largest part,
        // for as long as the client reads.
        let (mut answering, mut step) = Box::pin(Answering::begin(
            &shared, turn, resume, dump, &feed, &sender,
        ))
        .await?;
        loop {
            step = match step {
                NextStep::Start(turn) => Box::pin(answering.start(*turn)).await?,
                NextStep::Borrow(run) => answering.borrow(run).await,
                NextStep::End => return Ok(()),
            };
        }
    };
    tokio::select! {
        biased;
        () = feed.closed() => tracing::debug!("the client hung up"),
        () = stopped(&shared) => {
            // The client gets what is left of the grace to take this.
            fail(&shared, &feed, shutting_down()).await;
        }
        answered = answered => {
            if let Err(error) = answered {
                fail(&shared, &feed, error).await;
            }
        }
    }
}

/// Waits until the server stops, and a moment longer: a run that is being relayed ends its answer
/// with what it still has.
async fn stopped(shared: &Shared) {
    shared.stop.cancelled().await;
    tokio::time::sleep(LAST_WORD).await;
}

async fn fail(shared: &Shared, feed: &Feed, error: TurnError) {
    shared.runs.forget(feed);
    feed.send(vec![TurnEvent::End(Box::new(TurnEnd::failed(error)))])
        .await;
}

/// What is done next for an answer.
enum NextStep {
    /// A run is started for this.
    Start(Box<Turn>),
    /// A run is relayed until it pauses.
    Borrow(Box<Run>),
    /// Nothing: all of the answer was sent.
    End,
}

/// A request that is being answered.
struct Answering<'a> {
    shared: &'a Arc<Shared>,
    feed: &'a Feed,
    sender: &'a Sender,
    dump: Option<Dump>,
    begun: Instant,
    terms: Terms,
    fingerprint: Fingerprint,
    /// The request, where ours were added to its tools and rounds.
    asked: Option<Turn>,
    key: Option<CallerKey>,
    workspace: Option<PathBuf>,
    parallel: bool,
    caller: Option<Arc<Caller>>,
    hands: Hands<'a>,
    answer: Answer<'a>,
    /// Until a run has it.
    permit: Option<Permit>,
    /// Whether runs are served the client's tools.
    served: bool,
    /// Whether the agent works on after a change, where it has a view.
    collects: bool,
    /// What another run would need; else a request of megabytes would be kept for nothing.
    kept: Option<Turn>,
}

impl<'a> Answering<'a> {
    /// Waits for the right to run, and finds out what the answer begins with.
    ///
    /// # Errors
    /// A request that can't be answered.
    async fn begin(
        shared: &'a Arc<Shared>,
        mut turn: Turn,
        resume: Option<(u64, Continuation)>,
        dump: Option<Dump>,
        feed: &'a Feed,
        sender: &'a Sender,
    ) -> Result<(Self, NextStep), TurnError> {
        let config = &shared.config;
        attachments::check(&turn)?;
        let workspace = config.workspaces.of(&turn).await?;
        if let Some(workspace) = &workspace {
            sender.progress().works_in(workspace);
        }
        let terms = Terms::of(&turn);
        let fingerprint = Fingerprint::of(&turn);
        // Only a request with tools of the client's is ever parked.
        let asked = (config.exec.is_some() && turn.allows_tools()).then(|| turn.clone());
        shared
            .rounds
            .restore(turn.owner.as_deref(), &mut turn.messages);
        let hands = Hands::of(config, &mut turn, workspace.clone()).await?;
        let caller = shared.caller(turn.key.as_ref());
        let permit = Some(shared.admit(caller.as_ref()).await?);
        sender.progress().reach(Phase::Admitted);
        let longest_said = match hands {
            Hands::Server(_) => usize::MAX,
            Hands::Client => LONGEST_SAID,
        };
        let mut answering = Self {
            answer: Answer::new(
                &shared.counters,
                &shared.estimates,
                &turn,
                feed,
                longest_said,
            )?,
            served: shared.serves(&turn).await,
            collects: shared.collects_changes() && turn.allows_tools() && is_kept(&turn),
            parallel: turn.parallel_tool_calls,
            begun: Instant::now(),
            kept: None,
            key: turn.key.clone(),
            asked,
            shared,
            feed,
            sender,
            dump,
            terms,
            fingerprint,
            workspace,
            caller,
            hands,
            permit,
        };
        sender.progress().asks_about(answering.answer.asked());
        if let Some((id, continuation)) = resume
            && let Some(run) = shared.runs.take(id).await
            && let Some(permit) = answering.permit.take()
        {
            let step = answering.resume(run, turn, continuation, permit).await;
            return Ok((answering, step));
        }
        sender.origin(RunOrigin::Fresh);
        Ok((answering, NextStep::Start(Box::new(turn))))
    }

    /// Continues a run that waited for what the request brings.
    async fn resume(
        &mut self,
        mut run: Run,
        turn: Turn,
        continuation: Continuation,
        permit: Permit,
    ) -> NextStep {
        self.sender.progress().was_parked(run.parked());
        let hint = boundary::hint(&turn, self.shared.config.boundary.max_repeat);
        let words = continuation.words.iter();
        let words = words.map(|words| prompt::beside_results(words));
        let notes: Vec<String> = hint.into_iter().chain(words).collect();
        run.resume(&turn, continuation.results, &notes, permit);
        if run.is_void() {
            self.permit = run.release_permit();
            self.sender.origin(RunOrigin::Fresh);
            return NextStep::Start(Box::new(turn));
        }
        self.sender.origin(RunOrigin::Resumed);
        self.sender.progress().asks_for(run.model());
        self.kept = Some(turn);
        let due = run.calls_due(self.parallel);
        if due.is_empty() {
            return NextStep::Borrow(Box::new(run));
        }
        self.answer.started();
        self.park(run, due, None).await
    }

    /// Starts a run.
    ///
    /// # Errors
    /// Why it did not even start; nothing was sent.
    async fn start(&mut self, turn: Turn) -> Result<NextStep, TurnError> {
        let permit = match self.permit.take() {
            Some(permit) => permit,
            None => self.shared.admit(self.caller.as_ref()).await?,
        };
        if self.served
            || self.collects
            || self.answer.may_repeat()
            || !turn.fallback_models.is_empty()
        {
            self.kept = Some(turn.clone());
        }
        let beginning = Beginning {
            workspace: self.workspace.clone(),
            served: self.served,
            collects: self.collects,
            note: self.hands.note(),
            dump: self.dump.as_ref(),
            permit,
            progress: self.sender.progress(),
        };
        match start(self.shared, turn, beginning).await {
            Ok(run) => Ok(NextStep::Borrow(Box::new(run))),
            Err(error) => match self.fall_back(&error) {
                Some(again) => Ok(NextStep::Start(Box::new(again))),
                None => Err(self.hidden(error)),
            },
        }
    }

    /// Relays the run until it pauses, and does what the pause asks for.
    async fn borrow(&mut self, mut run: Box<Run>) -> NextStep {
        let config = &self.shared.config;
        let pause = run
            .drive(
                &mut self.answer,
                config.budgets,
                self.begun,
                &self.shared.stop,
            )
            .await;
        match pause {
            Pause::Calls(calls) => Box::pin(self.calls(*run, calls)).await,
            Pause::Finished => Box::pin(self.finished(*run)).await,
            Pause::Cut(reason) => {
                self.answer.end(Ok(reason), None);
                self.sent().await
            }
            Pause::NotServed => {
                self.served = false;
                let again = self.kept.take();
                again.map_or(NextStep::End, |turn| NextStep::Start(Box::new(turn)))
            }
            Pause::Again(messages) => {
                drop(run);
                let Some(mut turn) = self.so_far() else {
                    return NextStep::End;
                };
                turn.messages.extend(messages.into_iter().flatten());
                // It could happen again, and for ever.
                self.collects = false;
                self.answer.another_run(&turn);
                NextStep::Start(Box::new(turn))
            }
            Pause::Failed(error) => {
                drop(run);
                if let Some(again) = self.fall_back(&error) {
                    self.answer.restart(&again);
                    return NextStep::Start(Box::new(again));
                }
                self.failed(error).await
            }
            Pause::Gone => NextStep::End,
        }
    }
}
