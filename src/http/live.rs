//! The turns that are being answered, for those who watch.

use std::sync::{
    Arc, Mutex, MutexGuard, Weak,
    atomic::{AtomicU64, Ordering},
};

use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::record::RecordShared;
use crate::threads::lock;

/// How many may watch at one time.
const WATCHERS: usize = 16;

/// All turns that are not over.
pub(super) struct Live {
    /// In the order of their beginnings.
    turns: Mutex<Vec<Weak<RecordShared>>>,
    ended: AtomicU64,
    places: Arc<Semaphore>,
}

/// One of them.
#[derive(Debug, Serialize)]
pub(super) struct LiveTurn {
    pub id: String,
    /// When its request began, in milliseconds since 1970.
    pub since: u64,
    pub client: String,
    pub model: String,
    /// What it does: a word of [`Facts::step`](super::facts::Facts::step).
    pub phase: &'static str,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            turns: Mutex::default(),
            ended: AtomicU64::new(0),
            places: Arc::new(Semaphore::new(WATCHERS)),
        }
    }
}

impl Live {
    /// A turn begins.
    pub fn enter(&self, turn: &Arc<RecordShared>) {
        self.lock().push(Arc::downgrade(turn));
    }

    /// It is over.
    pub fn leave(&self, turn: &RecordShared) {
        self.lock().retain(|it| !std::ptr::eq(it.as_ptr(), turn));
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    /// The turns as they are now, the oldest first.
    pub fn turns(&self) -> Vec<LiveTurn> {
        // Dropping the last reference takes the lock, too.
        let turns: Vec<_> = self.lock().iter().filter_map(Weak::upgrade).collect();
        turns.iter().map(|turn| turn.live()).collect()
    }

    /// How many are over since the start.
    pub fn ended(&self) -> u64 {
        self.ended.load(Ordering::Relaxed)
    }

    /// A place among those who watch, if there is one.
    pub fn watch(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<RecordShared>>> {
        lock(&self.turns)
    }
}
