//! The runs that wait for a client: each asked for the client's tools, and its results come with
//! another request.
//!
//! A request carries its whole conversation, so a parked run is only a cache of a fresh one. On any
//! doubt it is ended and the request is answered by a fresh run. A parked run holds no permit: the
//! client may need one to execute the very tool that the run waits for.
//!
//! ```text
//! park(run) ──> a task keeps it: it takes events, and ends it at the deadline or if the agent dies
//! claim(turn) ─> Replay: this request was answered before    Resume: take() hands the run over
//!                Fresh: nobody waits for it; what it shows to be given up is ended
//! ```

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};
use tokio_util::task::TaskTracker;

use super::{
    continuation::{Continuation, Delivery, Fingerprint, call_ids, last_calls},
    feed::{Feed, Recording},
    replays::Replays,
    run::Run,
    stream::Sender,
};
use crate::{
    threads::lock,
    turn::{ToolChoice, Turn},
};

/// How many runs wait at one time; the oldest is ended for another one.
const MOST: usize = 64;

/// How many of one owner do.
const MOST_OF_OWNER: usize = 8;

/// All runs that wait, and the answers that can be given again.
pub(super) struct Runs {
    state: Mutex<RunState>,
    /// How long a run waits.
    pub(super) timeout: Duration,
    tasks: TaskTracker,
    next: AtomicU64,
}

#[derive(Default)]
pub(super) struct RunState {
    /// The longest waiting first.
    pub parked: Vec<Parked>,
    pub replays: Replays,
}

/// What is known of a run that waits; the run itself is kept by a task.
pub(super) struct Parked {
    pub id: u64,
    pub terms: Terms,
    /// Of the request that was answered with the open calls.
    pub fingerprint: Fingerprint,
    /// The conversation up to the open calls and what was posted of their results; `None` if it is
    /// too long to be kept.
    pub turn: Option<Turn>,
    since: SystemTime,
    /// The calls that the client was given and has not answered.
    pub open: HashSet<String>,
    /// Those of its calls whose results came without a request.
    pub posted: HashSet<String>,
    /// All calls that the client was given.
    known: HashSet<String>,
    /// To the task that keeps the run; dropping it ends the run.
    pub orders: mpsc::UnboundedSender<Order>,
}

/// A message to the task that keeps a run.
pub(super) enum Order {
    /// To hand it over.
    Take(oneshot::Sender<Run>),
    /// To give it these results, and keep it.
    Give(Vec<Delivery>),
}

/// A run that waits, for those who watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedRun {
    /// The model as the client named it.
    pub model: String,
    /// When its answer ended.
    pub since: SystemTime,
    /// How many calls the client has not answered.
    pub calls: usize,
}

/// What must be the same for a run to go on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Terms {
    /// Who asked: nobody else is ever given the run.
    owner: Option<String>,
    model: String,
    tool_choice: ToolChoice,
    tool_loop: Option<String>,
    tools: HashSet<String>,
}

impl Terms {
    pub fn of(turn: &Turn) -> Self {
        let tools = turn.tools.iter().map(|tool| tool.name.clone());
        Self {
            owner: turn.owner.clone(),
            model: turn.model.clone(),
            tool_choice: turn.tool_choice.clone(),
            tool_loop: turn.tool_loop.clone(),
            tools: tools.collect(),
        }
    }

    /// Whether a run on these terms serves a request on others. Descriptions may change and tools
    /// may be added; the run keeps those that it began with.
    pub fn serve(&self, request: &Self) -> bool {
        self.owner == request.owner
            && self.model == request.model
            && self.tool_choice == request.tool_choice
            && self.tool_loop == request.tool_loop
            && self.tools.is_subset(&request.tools)
    }

    /// Who asked.
    pub fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }
}

impl Parked {
    /// Whether the run waits for what a request brings: results of open calls, beside such that it
    /// has already.
    fn waits_for(&self, turn: &Turn, brings: Option<&Continuation>) -> bool {
        let Some(brings) = brings else {
            // Some results were posted, and the request wants to know what is still open.
            let last = last_calls(turn);
            return !self.posted.is_empty() && last.iter().any(|id| self.open.contains(*id));
        };
        let all = |ids: &HashSet<String>| {
            let mut results = brings.results.iter();
            results.all(|it| ids.contains(&it.result.call_id))
        };
        let mut results = brings.results.iter();
        // What the user says goes to the agent with a result.
        let is_new = results.any(|it| self.open.contains(&it.result.call_id));
        is_new && all(&self.known) || brings.words.is_empty() && all(&self.posted)
    }
}

/// How a request is to be answered.
pub(super) enum Claim {
    /// By an answer that was or is being given: the client has been joined to it.
    Replayed,
    /// By a run that waits for this.
    Resume(u64, Continuation, Feed),
    /// By a fresh run.
    Fresh(Feed),
}

impl Runs {
    /// No run waits longer than `timeout`.
    pub fn new(timeout: Duration) -> Self {
        Self {
            state: Mutex::default(),
            timeout,
            tasks: TaskTracker::new(),
            next: AtomicU64::new(0),
        }
    }

    /// How many runs wait.
    pub fn parked(&self) -> usize {
        self.lock().parked.len()
    }

    /// The runs that wait.
    pub fn waiting(&self) -> Vec<ParkedRun> {
        let state = self.lock();
        let shown = state.parked.iter().map(|parked| ParkedRun {
            model: parked.terms.model.clone(),
            since: parked.since,
            calls: parked.open.len(),
        });
        shown.collect()
    }

    /// Decides how the turn is answered. Runs of the same conversation that it gives up are ended.
    pub fn claim(&self, turn: &Turn, sender: Sender) -> Claim {
        let continuation = Continuation::of(turn);
        let digest = continuation.as_ref().map_or(0, Continuation::digest);
        let brings = continuation.as_ref().map(|brings| (brings, digest));
        let terms = Terms::of(turn);
        let mut state = self.lock();
        if state.replays.join(turn, brings, &terms, &sender) {
            return Claim::Replayed;
        }
        let fits = |parked: &&Parked| {
            parked.terms.serve(&terms) && parked.waits_for(turn, continuation.as_ref())
        };
        if let Some(parked) = state.parked.iter().find(fits) {
            let id = parked.id;
            let mut brings = continuation.unwrap_or_default();
            let recording = Arc::new(Recording::new(sender));
            brings
                .results
                .retain(|it| parked.open.contains(&it.result.call_id));
            state.replays.keep(terms, digest, &recording);
            return Claim::Resume(id, brings, Feed::Recorded(recording));
        }
        if !state.parked.is_empty() {
            let ids = call_ids(turn);
            state.parked.retain(|parked| {
                let given_up = parked.terms.owner == terms.owner
                    && (parked.known.iter().any(|id| ids.contains(id.as_str()))
                        || parked.fingerprint.is_begin_of(turn));
                if given_up {
                    tracing::info!(
                        run = parked.id,
                        "the conversation went on without the results: the parked run is ended"
                    );
                }
                !given_up
            });
        }
        Claim::Fresh(Feed::Direct(sender))
    }

    /// Takes a run that was claimed; `None` if it has ended meanwhile.
    pub async fn take(&self, id: u64) -> Option<Run> {
        let orders = {
            let mut state = self.lock();
            let at = state.parked.iter().position(|parked| parked.id == id)?;
            state.parked.remove(at).orders
        };
        let (back, run) = oneshot::channel();
        orders.send(Order::Take(back)).ok()?;
        run.await.ok()
    }

    /// An answer that failed is not given again: a retry deserves a new attempt.
    pub fn forget(&self, feed: &Feed) {
        self.lock().replays.forget(feed);
    }

    /// Keeps a run until its client comes back, or the deadline. `fingerprint` is that of the request,
    /// `turn` the conversation with the answer to it.
    pub fn park(
        self: &Arc<Self>,
        mut run: Run,
        terms: Terms,
        fingerprint: Fingerprint,
        turn: Option<Turn>,
    ) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (orders, taken) = mpsc::unbounded_channel();
        let mut state = self.lock();
        let of_owner = |parked: &&Parked| parked.terms.owner == terms.owner;
        let oldest = if state.parked.iter().filter(of_owner).count() >= MOST_OF_OWNER {
            state.parked.iter().position(|parked| of_owner(&parked))
        } else {
            (state.parked.len() >= MOST).then_some(0)
        };
        if let Some(at) = oldest {
            let run = state.parked.remove(at).id;
            tracing::info!(run, "too many runs are parked: the oldest is ended");
        }
        state.parked.push(Parked {
            id,
            terms,
            fingerprint,
            turn,
            since: SystemTime::now(),
            open: run.open_calls().map(str::to_owned).collect(),
            posted: HashSet::new(),
            known: run.known_calls().clone(),
            orders,
        });
        drop(state);
        run.release_permit();
        tracing::debug!(run = id, "the run is parked");
        let deadline = Instant::now() + self.timeout;
        let runs = Arc::clone(self);
        self.tasks.spawn(async move {
            if let Some((run, back)) = keep(run, taken, deadline).await {
                // The request may be gone by now, and with it the reason to keep the run.
                let _ = back.send(run);
            } else {
                runs.lock().parked.retain(|parked| parked.id != id);
            }
        });
    }

    /// Ends all runs that wait, and those whose answer nobody has asked for.
    pub fn end_all(&self) {
        let mut state = self.lock();
        state.parked.clear();
        state.replays.end_unread();
    }

    /// Waits until no run is kept any more.
    pub async fn idle(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, RunState> {
        lock(&self.state)
    }
}

/// Keeps the run until it is taken; `None` once it has ended.
async fn keep(
    mut run: Run,
    mut orders: mpsc::UnboundedReceiver<Order>,
    deadline: Instant,
) -> Option<(Run, oneshot::Sender<Run>)> {
    let reason = loop {
        tokio::select! {
            biased;
            order = orders.recv() => match order? {
                Order::Take(back) => return Some((run, back)),
                Order::Give(results) => run.give(results),
            },
            reason = run.wait() => break reason,
            () = sleep_until(deadline) => break "its client did not come back in time",
        }
    };
    tracing::info!(reason, "a parked run is ended");
    None
}
