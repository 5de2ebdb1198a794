//! The bounded set of slots of one server.

use std::fmt;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::chats;
use super::{SlotDirs, own_directory, private_directory};
use crate::threads::{blocking, lock};

/// Slot numbers end here: more servers than this on one root is a mistake.
const MOST_SLOTS: usize = 256;

/// How often old chats are looked for.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);

/// How often it is looked how many slots there are, while all are waited for.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Why there is no slot.
#[derive(Debug, thiserror::Error)]
pub enum SlotError {
    /// The directory of the slots cannot be used.
    #[error("cannot keep agents' files in {}: {source}", path.display())]
    Root {
        /// The directory or file at fault.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// There is no directory to try.
    #[error("no place for agents' files is known; set HOME")]
    NoPlace,
    /// Other servers hold every slot.
    #[error("all {MOST_SLOTS} slots in {} are held by other servers", root.display())]
    Taken {
        /// The slots' directory.
        root: PathBuf,
    },
    /// There was no thread to clean it with.
    #[error("a slot was lost for want of threads; restart the server")]
    Lost,
    /// What an earlier turn left cannot be removed.
    #[error("cannot clean the slot {}: {source}", path.display())]
    Dirty {
        /// The slot's directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

type Job = Box<dyn FnOnce() + Send>;

/// Slots, each used by one agent at a time and by this server only. More are made as they are needed,
/// and given up when they are not: how many agents run is not decided here.
#[derive(Debug, Clone)]
pub struct Slots {
    pool: Arc<Pool>,
}

#[derive(Debug)]
struct Pool {
    root: PathBuf,
    user_config: PathBuf,
    /// How many there are by now.
    count: AtomicU32,
    /// How many stay when nobody uses them. Where agents leave much to clean up, more are in use.
    kept: usize,
    cleaner: mpsc::Sender<Job>,
    permits: Arc<Semaphore>,
    /// One for each free permit; the lowest number last, so that it is taken first.
    idle: Mutex<Vec<Idle>>,
}

/// A slot that nobody uses.
#[derive(Debug)]
struct Idle {
    index: usize,
    dirs: SlotDirs,
    clean: bool,
    /// Held as long as the server lives; other servers skip the slot.
    _lock: File,
}

/// A slot in use. Dropping it cleans the directories and returns the slot, on a thread of its own:
/// by then the agent must have ended, with every process of its own.
#[derive(Debug)]
pub struct Slot {
    dirs: SlotDirs,
    idle: Option<Idle>,
    pool: Arc<Pool>,
    permit: Option<OwnedSemaphorePermit>,
    when_clean: Option<WhenClean>,
}

/// What is to be done in a slot when it is clean again, before anybody can take it. Blocking.
pub struct WhenClean(Box<dyn FnOnce(&SlotDirs) + Send + Sync>);

impl WhenClean {
    /// Does this.
    pub fn new(then: impl FnOnce(&SlotDirs) + Send + Sync + 'static) -> Self {
        Self(Box::new(then))
    }
}

impl fmt::Debug for WhenClean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WhenClean")
    }
}

impl Slots {
    /// Takes `count` slots (at least one) below `root`, which is made if it is missing, and seeds
    /// them from the Cursor configuration in `user_config`. Blocking.
    ///
    /// # Errors
    /// [`SlotError::Root`] or [`SlotError::Taken`].
    pub fn open(root: &Path, count: usize, user_config: &Path) -> Result<Self, SlotError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            |source| SlotError::Root { path, source }
        };
        if let Some(parent) = root.parent() {
            own_directory(parent).map_err(failed(root))?;
        }
        private_directory(root).map_err(failed(root))?;
        // The fence compares paths, so they must be free of symlinks.
        let root = &root.canonicalize().map_err(failed(root))?;
        let pool = Pool {
            root: root.clone(),
            user_config: user_config.to_owned(),
            count: AtomicU32::new(0),
            kept: count.max(1),
            cleaner: cleaner(root.clone()).map_err(failed(root))?,
            permits: Arc::new(Semaphore::new(0)),
            idle: Mutex::default(),
        };
        for _ in 0..count.max(1) {
            match pool.grow() {
                // Fewer are enough beside other servers.
                Err(SlotError::Taken { .. }) if pool.count.load(Ordering::Relaxed) > 0 => break,
                grown => grown?,
            }
        }
        lock(&pool.idle).reverse();
        Ok(Self {
            pool: Arc::new(pool),
        })
    }

    /// A free slot; it is clean. Waits for one only where there can't be more.
    ///
    /// # Errors
    /// [`SlotError::Dirty`], [`SlotError::Lost`].
    pub async fn acquire(&self) -> Result<Slot, SlotError> {
        let permits = &self.pool.permits;
        let permit = match Arc::clone(permits).try_acquire_owned() {
            Ok(permit) => Some(permit),
            Err(_) => {
                if let Err(error) = self.pool.grow() {
                    tracing::warn!(%error, "waiting for a free slot");
                }
                Arc::clone(permits).acquire_owned().await.ok()
            }
        };
        let idle = lock(&self.pool.idle).pop().ok_or(SlotError::Lost)?;
        let clean = idle.clean;
        let slot = Slot {
            dirs: idle.dirs.clone(),
            idle: Some(idle),
            pool: Arc::clone(&self.pool),
            permit,
            when_clean: None,
        };
        if clean {
            return Ok(slot);
        }
        // The closure owns the slot: if we are cancelled, it comes back all the same.
        blocking(move || match slot.dirs.clean() {
            Ok(()) => Ok(slot),
            Err(source) => Err(SlotError::Dirty {
                path: slot.dirs.slot.clone(),
                source,
            }),
        })
        .await
    }

    /// Waits until every slot is back and clean, for the end of the server.
    pub async fn drained(&self) {
        loop {
            let count = self.pool.count.load(Ordering::Relaxed);
            // An error would mean a closed semaphore, which is as drained as can be.
            let all = timeout(LOOK_AGAIN, self.pool.permits.acquire_many(count));
            // A slot that is given up meanwhile takes its permit along.
            if all.await.is_ok() {
                return;
            }
        }
    }
}

impl Pool {
    /// Takes another slot that no server holds. Touches one file.
    fn grow(&self) -> Result<(), SlotError> {
        let mut idle = lock(&self.idle);
        for index in 0..MOST_SLOTS {
            let path = self.root.join(format!("{index}.lock"));
            let failed = |source| SlotError::Root {
                path: path.clone(),
                source,
            };
            let lock = File::create(&path).map_err(failed)?;
            match lock.try_lock() {
                Ok(()) => {
                    idle.push(Idle {
                        index,
                        dirs: SlotDirs::new(&self.root, index, &self.user_config),
                        clean: false,
                        _lock: lock,
                    });
                    self.count.fetch_add(1, Ordering::Relaxed);
                    self.permits.add_permits(1);
                    return Ok(());
                }
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
        Err(SlotError::Taken {
            root: self.root.clone(),
        })
    }
}

impl Slot {
    /// Where its directories are.
    #[must_use]
    pub fn dirs(&self) -> &SlotDirs {
        &self.dirs
    }

    /// Has something done when the slot was given back and is clean.
    pub fn when_clean(&mut self, then: Option<WhenClean>) {
        self.when_clean = then;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Some(mut idle) = self.idle.take() else {
            return;
        };
        let (pool, permit) = (Arc::clone(&self.pool), self.permit.take());
        let when_clean = self.when_clean.take();
        let finish = move || {
            let cleaned = idle.dirs.clean();
            if let Err(error) = &cleaned {
                tracing::warn!(slot = idle.index, %error, "a slot is not clean yet");
            }
            idle.clean = cleaned.is_ok();
            if idle.clean && lock(&pool.idle).len() >= pool.kept {
                pool.count.fetch_sub(1, Ordering::Relaxed);
                if let Some(permit) = permit {
                    permit.forget();
                }
                return;
            }
            if let Some(WhenClean(then)) = when_clean.filter(|_| idle.clean) {
                then(&idle.dirs);
            }
            let mut slots = lock(&pool.idle);
            slots.push(idle);
            slots.sort_by_key(|idle| std::cmp::Reverse(idle.index));
            drop(slots);
            drop(permit);
        };
        if self.pool.cleaner.send(Box::new(finish)).is_err() {
            tracing::error!("a slot is lost: its cleaner is gone");
        }
    }
}

/// Runs jobs one after the other on a thread of its own, until the sender is dropped, and removes
/// old chats and what was moved aside now and then. Not the runtime's pool: a slot may be dropped outside of one, and while
/// one shuts down.
fn cleaner(root: PathBuf) -> io::Result<mpsc::Sender<Job>> {
    let (sender, jobs) = mpsc::channel::<Job>();
    let mut due = Instant::now();
    let work = move || loop {
        match jobs.recv_timeout(due.saturating_duration_since(Instant::now())) {
            Ok(job) => job(),
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                chats::prune(&root.join("chats"), SystemTime::now() - chats::AGE);
                super::remove_asides(&root);
                due = Instant::now() + PRUNE_EVERY;
            }
        }
    };
    std::thread::Builder::new()
        .name("slot-cleaner".into())
        .spawn(work)?;
    Ok(sender)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
