//! Launchers that wait in free slots.
//!
//! Most of what a fenced start costs is the same for every run in a slot: two processes, namespaces,
//! mounts. So when a slot is clean again, a launcher does all of it for the next run and waits for its
//! order. It is taken only if that run would get the very same fence, and everything that was mounted
//! is still what it was; else it is ended. No agent has run in it.

use std::{
    collections::HashMap,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{runtime::Handle, time::sleep};

use super::{launcher::Launch, plan::RunPlan, policy::PolicyInner};
use crate::{
    sandbox::process::{SpawnSpec, WaitingChild},
    threads::lock,
};

/// How many launchers wait at most, in different slots.
const MOST: usize = 4;

/// How long one waits. As long as it does, its mounts keep a disk from being removed.
const LONGEST: Duration = Duration::from_secs(120);

/// The launchers of one fence.
#[derive(Debug, Default)]
pub(super) struct WarmLaunchers(Mutex<WarmState>);

#[derive(Debug, Default)]
struct WarmState {
    closed: bool,
    /// How many were ever kept; names each.
    kept: u64,
    by_slot: HashMap<PathBuf, WarmLauncher>,
}

#[derive(Debug)]
struct WarmLauncher {
    number: u64,
    /// The run that it waits for.
    plan: RunPlan,
    launch: Launch,
    seen: Vec<Option<FileId>>,
    child: WaitingChild,
}

/// What tells whether there is still the same file at a path: device, inode, mode.
type FileId = (u64, u64, u32);

impl WarmLaunchers {
    /// The launcher that waits in a slot, if it fits.
    pub fn take(&self, slot: &Path, launch: &Launch) -> Option<WaitingChild> {
        let mut warm = lock(&self.0).by_slot.remove(slot)?;
        let fits = warm.launch == *launch && warm.seen == seen(launch) && warm.child.is_alive();
        fits.then_some(warm.child)
    }

    /// The launcher that waits in a slot for a run of this plan, and what it has set up. Whether that still
    /// fits is not looked at.
    pub fn take_unseen(&self, slot: &Path, plan: &RunPlan) -> Option<(WaitingChild, Launch)> {
        let mut state = lock(&self.0);
        let waits = state.by_slot.get(slot)?.plan == *plan;
        let mut warm = waits.then(|| state.by_slot.remove(slot))??;
        let alive = warm.child.is_alive();
        alive.then_some((warm.child, warm.launch))
    }

    /// Whether another one may wait.
    pub fn has_room(&self) -> bool {
        let state = lock(&self.0);
        !state.closed && state.by_slot.len() < MOST
    }

    /// Starts a launcher for the next run in a slot, whose layers exist. Blocking.
    pub fn keep(
        inner: &Arc<PolicyInner>,
        slot: &Path,
        (plan, launch): (RunPlan, Launch),
        runtime: &Handle,
    ) {
        let seen = seen(&launch);
        let waiting = Launch {
            waits: true,
            ..launch.clone()
        };
        // It gets the environment with its order.
        let spec = SpawnSpec {
            program: inner.config.launcher.clone(),
            args: waiting.to_args(),
            env: Vec::new(),
            cwd: PathBuf::from("/"),
        };
        let guard = runtime.enter();
        let child = match WaitingChild::start(&spec) {
            Ok(child) => child,
            Err(error) => return tracing::debug!(%error, "no launcher waits for the next run"),
        };
        drop(guard);
        let mut state = lock(&inner.warm.0);
        if state.closed {
            return;
        }
        state.kept += 1;
        let number = state.kept;
        let warm = WarmLauncher {
            number,
            plan,
            launch,
            seen,
            child,
        };
        state.by_slot.insert(slot.to_owned(), warm);
        drop(state);
        let (inner, slot) = (Arc::downgrade(inner), slot.to_owned());
        runtime.spawn(async move {
            sleep(LONGEST).await;
            if let Some(inner) = inner.upgrade() {
                let by_slot = &mut lock(&inner.warm.0).by_slot;
                if by_slot.get(&slot).is_some_and(|warm| warm.number == number) {
                    by_slot.remove(&slot);
                }
            }
        });
    }

    /// Ends all of them; none is kept from now on.
    pub async fn close(&self) {
        let launchers = {
            let mut state = lock(&self.0);
            state.closed = true;
            std::mem::take(&mut state.by_slot)
        };
        for warm in launchers.into_values() {
            warm.child.end().await;
        }
    }
}

/// What is at the paths that a launcher mounts.
fn seen(launch: &Launch) -> Vec<Option<FileId>> {
    let views = launch.overlays.iter().map(|overlay| &overlay.at);
    let paths = views.chain(&launch.read_only).chain(&launch.writable);
    let id = |path: &PathBuf| {
        let meta = fs::symlink_metadata(path).ok()?;
        Some((meta.dev(), meta.ino(), meta.mode()))
    };
    paths.map(id).collect()
}
