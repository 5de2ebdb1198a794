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
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until},
};
use tokio_util::task::TaskTracker;

use super::{
    continuation::{Continuation, Fingerprint, call_ids},
    feed::{Feed, Recording},
    run::Run,
    stream::{RunOrigin, Sender},
};
use crate::turn::{ToolChoice, Turn};

/// How many runs wait at one time; the oldest is ended for another one.
const MOST: usize = 64;

/// How many of one owner do.
const MOST_OF_OWNER: usize = 8;

/// How long an answer to a request with results can be given again.
const REPLAY: Duration = Duration::from_secs(600);

/// How many such answers are kept.
const MOST_REPLAYS: usize = 64;

/// All runs that wait, and the answers that can be given again.
pub(super) struct Runs {
    state: Mutex<RunState>,
    /// How long a run waits.
    timeout: Duration,
    tasks: TaskTracker,
    next: AtomicU64,
}

#[derive(Default)]
struct RunState {
    /// The longest waiting first.
    parked: Vec<Parked>,
    /// The oldest first.
    replays: Vec<RecordedAnswer>,
}

/// What is known of a run that waits; the run itself is kept by a task.
struct Parked {
    id: u64,
    terms: Terms,
    fingerprint: Fingerprint,
    /// The calls that the client was given and has not answered.
    open: HashSet<String>,
    /// All calls that the client was given.
    known: HashSet<String>,
    /// Hands the run over; dropping it ends the run.
    take: oneshot::Sender<oneshot::Sender<Run>>,
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
    fn serve(&self, request: &Self) -> bool {
        self.owner == request.owner
            && self.model == request.model
            && self.tool_choice == request.tool_choice
            && self.tool_loop == request.tool_loop
            && self.tools.is_subset(&request.tools)
    }
}

struct RecordedAnswer {
    owner: Option<String>,
    digest: u128,
    since: Instant,
    recording: Arc<Recording>,
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

    /// Decides how the turn is answered. Runs of the same conversation that it gives up are ended.
    pub fn claim(&self, turn: &Turn, sender: Sender) -> Claim {
        let continuation = Continuation::of(turn);
        let terms = Terms::of(turn);
        let mut state = self.lock();
        state
            .replays
            .retain(|replay| replay.since.elapsed() < REPLAY);
        let digest = continuation.as_ref().map(Continuation::digest);
        let known = state.replays.iter().find(|replay| {
            Some(replay.digest) == digest
                && replay.owner == terms.owner
                && replay.recording.is_whole()
        });
        if let Some(replay) = known {
            sender.origin(RunOrigin::Replayed);
            replay.recording.join(sender);
            return Claim::Replayed;
        }
        let found = continuation.and_then(|continuation| {
            let fits = |parked: &&Parked| {
                let mut results = continuation.results.iter();
                parked.terms.serve(&terms)
                    && results.all(|r| parked.open.contains(&r.result.call_id))
            };
            let id = state.parked.iter().find(fits)?.id;
            Some((id, continuation))
        });
        if let Some((id, continuation)) = found {
            let recording = Arc::new(Recording::new(sender));
            if state.replays.len() >= MOST_REPLAYS {
                state.replays.remove(0);
            }
            state.replays.push(RecordedAnswer {
                owner: terms.owner,
                digest: continuation.digest(),
                since: Instant::now(),
                recording: Arc::clone(&recording),
            });
            return Claim::Resume(id, continuation, Feed::Recorded(recording));
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
        let take = {
            let mut state = self.lock();
            let at = state.parked.iter().position(|parked| parked.id == id)?;
            state.parked.remove(at).take
        };
        let (back, run) = oneshot::channel();
        take.send(back).ok()?;
        run.await.ok()
    }

    /// An answer that failed is not given again: a retry deserves a new attempt.
    pub fn forget(&self, feed: &Feed) {
        if let Feed::Recorded(recording) = feed {
            let mut state = self.lock();
            state
                .replays
                .retain(|replay| !Arc::ptr_eq(&replay.recording, recording));
        }
    }

    /// Keeps a run until its client comes back, or the deadline. `turn` is what the request said.
    pub fn park(self: &Arc<Self>, mut run: Run, terms: Terms, fingerprint: Fingerprint) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (take, taken) = oneshot::channel();
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
            open: run.open_calls().map(str::to_owned).collect(),
            known: run.known_calls().clone(),
            take,
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

    /// Ends all runs that wait.
    pub fn end_all(&self) {
        self.lock().parked.clear();
    }

    /// Waits until no run is kept any more.
    pub async fn idle(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn lock(&self) -> MutexGuard<'_, RunState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the run until it is taken; `None` once it has ended.
async fn keep(
    mut run: Run,
    mut taken: oneshot::Receiver<oneshot::Sender<Run>>,
    deadline: Instant,
) -> Option<(Run, oneshot::Sender<Run>)> {
    let reason = tokio::select! {
        biased;
        back = &mut taken => match back {
            Ok(back) => return Some((run, back)),
            Err(_) => return None,
        },
        reason = run.wait() => reason,
        () = sleep_until(deadline) => "its client did not come back in time",
    };
    tracing::info!(reason, "a parked run is ended");
    None
}
