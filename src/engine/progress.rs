//! What becomes known of a turn while it is answered. The engine writes it; whoever watches the turn
//! may read it at any time.

use crate::threads::lock;
use std::{
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// Where an answer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunOrigin {
    /// A run that was started for it.
    Fresh,
    /// A run that waited for the results that the request brings.
    Resumed,
    /// An answer that was given, or is being given, to the same request before.
    Replayed,
}

impl RunOrigin {
    /// As the response header names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Resumed => "resumed",
            Self::Replayed => "replayed",
        }
    }
}

/// What happens to a turn before there is something to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It left the queue.
    Admitted,
    /// There are a slot and its directories for the agent.
    Placed,
    /// The agent was started.
    Spawned,
    /// The agent has begun to work: its first event is there.
    Started,
}

/// Cursor's id of the model that answers.
#[derive(Debug, Default)]
struct TurnModel {
    name: Option<String>,
    /// Whether the client was told; then it stays.
    told: bool,
}

/// What is known of one turn so far. Of a turn that takes several runs, the first counts.
#[derive(Debug, Default)]
pub struct TurnProgress {
    origin: OnceLock<RunOrigin>,
    model: Mutex<TurnModel>,
    workspace: OnceLock<PathBuf>,
    phases: [OnceLock<Instant>; 4],
    parked: OnceLock<Duration>,
    asked: OnceLock<u64>,
    guarded: AtomicBool,
}

impl TurnProgress {
    pub(super) fn comes_from(&self, origin: RunOrigin) {
        let _ = self.origin.set(origin);
    }

    pub(super) fn asks_for(&self, model: &str) {
        let mut known = self.lock();
        if !known.told {
            known.name = Some(model.to_owned());
        }
    }

    /// Whether another model may still answer: the client was not told of one.
    pub(super) fn may_change(&self) -> bool {
        !self.lock().told
    }

    fn lock(&self) -> MutexGuard<'_, TurnModel> {
        lock(&self.model)
    }

    pub(super) fn works_in(&self, workspace: &Path) {
        self.workspace.get_or_init(|| workspace.to_owned());
    }

    pub(super) fn reach(&self, phase: Phase) {
        self.phases[phase as usize].get_or_init(Instant::now);
    }

    pub(super) fn was_parked(&self, time: Duration) {
        let _ = self.parked.set(time);
    }

    pub(super) fn asks_about(&self, tokens: u64) {
        let _ = self.asked.set(tokens);
    }

    pub(super) fn guard_stopped(&self) {
        self.guarded.store(true, Ordering::Relaxed);
    }

    /// Where the answer comes from; known before its first event.
    #[must_use]
    pub fn origin(&self) -> Option<RunOrigin> {
        self.origin.get().copied()
    }

    /// Cursor's id of the model.
    #[must_use]
    pub fn model(&self) -> Option<String> {
        self.lock().name.clone()
    }

    /// The same, to tell the client: from now on it stays.
    #[must_use]
    pub fn tell_model(&self) -> Option<String> {
        let mut model = self.lock();
        model.told = true;
        model.name.clone()
    }

    /// The directory that the agent works in, if it is one of the client's.
    #[must_use]
    pub fn workspace(&self) -> Option<&Path> {
        self.workspace.get().map(PathBuf::as_path)
    }

    /// When a phase was reached.
    #[must_use]
    pub fn reached(&self, phase: Phase) -> Option<Instant> {
        self.phases[phase as usize].get().copied()
    }

    /// How long the run had waited that the turn resumed.
    #[must_use]
    pub fn parked(&self) -> Option<Duration> {
        self.parked.get().copied()
    }

    /// About how many tokens the request has, once it may run.
    #[must_use]
    pub fn asked(&self) -> Option<u64> {
        self.asked.get().copied()
    }

    /// Whether the answer was ended over calls that go in a circle or can't be made valid.
    #[must_use]
    pub fn stopped_by_guard(&self) -> bool {
        self.guarded.load(Ordering::Relaxed)
    }
}
