//! The fence of one server: what was asked for, what holds here, and what follows for a run.

use std::{
    collections::HashMap,
    fmt, io,
    path::{Path, PathBuf},
    str::FromStr,
    sync::{Arc, Mutex},
};

use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use super::{
    FenceStatus, Reason, ResourceLimits,
    cgroup::Cgroups,
    enclosure::{Enclosure, launched},
    launcher::{Failure, Launch, Stage},
    probe,
    reason::explain,
    warm::WarmLaunchers,
};
use crate::{
    sandbox::{
        process::SpawnSpec,
        slot::{Places, Rules, SlotDirs, WhenClean},
    },
    threads::{blocking, lock},
};

/// Workspaces remembered as having no view; beyond that the memory starts anew.
const REMEMBERED: usize = 256;

/// `--fence`: how much the fence matters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FenceMode {
    /// Serve only if the kernel stops the agent's writes, ends its processes with it, and keeps it
    /// from other programs' UNIX sockets.
    Require,
    /// Use what this machine has, and report what it is.
    #[default]
    Auto,
    /// The agent runs as the user runs it.
    Off,
}

impl FromStr for FenceMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "require" => Ok(Self::Require),
            "auto" => Ok(Self::Auto),
            "off" => Ok(Self::Off),
            _ => Err(format!("`{text}` is not one of require, auto, off")),
        }
    }
}

impl fmt::Display for FenceMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Require => "require",
            Self::Auto => "auto",
            Self::Off => "off",
        })
    }
}

/// Why a run cannot be fenced.
#[derive(Debug, thiserror::Error)]
pub enum FenceError {
    /// `--fence require`, and this machine cannot keep one of its promises.
    #[error("--fence require: {sentence}")]
    NotEnforced {
        /// What is missing and what to do about it.
        sentence: String,
    },
    /// `--fence require`, and the workspace is writable for Cursor's own purposes.
    #[error("--fence require: {}", exposed(workspace, root))]
    Exposed {
        /// The workspace.
        workspace: PathBuf,
        /// The writable directory that it lies in.
        root: PathBuf,
    },
    /// The slot or the workspace could not be prepared.
    #[error("cannot prepare the fence at {}: {source}", path.display())]
    Prepare {
        /// The path at fault.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The launcher failed, and there is nothing to fall back to.
    #[error("the agent was not started: {0}")]
    Launch(#[source] Failure),
}

/// What a workspace in a writable directory means.
pub(super) fn exposed(workspace: &Path, root: &Path) -> String {
    format!(
        "the workspace {} lies in {}, which Cursor must be able to write",
        workspace.display(),
        root.display()
    )
}

/// What a server asks of its fence.
#[derive(Debug, Clone)]
pub struct FenceConfig {
    /// How much it matters.
    pub mode: FenceMode,
    /// Our own executable, which is the launcher too.
    pub launcher: PathBuf,
    /// What a run may use up.
    pub limits: ResourceLimits,
}

/// The fence of one server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Fence {
    pub(super) inner: Arc<PolicyInner>,
}

#[derive(Debug, Clone)]
pub(super) struct PolicyInner {
    pub(super) config: FenceConfig,
    /// Cursor's own state, free of symlinks; it exists.
    pub(super) state: Vec<PathBuf>,
    /// Files of the login, which may be missing or links.
    pub(super) logins: Vec<PathBuf>,
    pub(super) status: FenceStatus,
    pub(super) strength: Strength,
    /// Where the cgroups of runs are, if memory is limited.
    pub(super) cgroups: Option<Arc<Cgroups>>,
    /// Launchers that wait for the next run.
    pub(super) warm: Arc<WarmLaunchers>,
    /// Workspaces that cannot have a view.
    pub(super) no_view: Arc<Mutex<HashMap<PathBuf, Reason>>>,
}

/// The mechanisms that work on this machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Strength {
    pub mounts: bool,
    pub processes: bool,
    pub landlock: bool,
    pub no_unix_sockets: bool,
}

impl Strength {
    pub(super) fn apply(self, launch: &mut Launch) {
        launch.mounts = self.mounts;
        launch.processes = self.mounts && self.processes;
        launch.landlock = self.landlock;
        launch.no_unix_sockets = self.no_unix_sockets;
        launch.unprivileged = true;
    }
}

impl Fence {
    /// Tries what holds on this machine, with a slot that nobody uses. [`Places::state`] is made where
    /// it is missing; `workspace` is the one that most requests will use, if it is known.
    ///
    /// # Errors
    /// [`FenceError::NotEnforced`] and [`FenceError::Exposed`] with [`FenceMode::Require`],
    /// [`FenceError::Prepare`].
    pub async fn probe(
        config: &FenceConfig,
        places: &Places,
        slot: &SlotDirs,
        workspace: Option<&Path>,
    ) -> Result<Self, FenceError> {
        probe::run(config, places, slot, workspace).await
    }

    /// What holds.
    #[must_use]
    pub fn status(&self) -> &FenceStatus {
        &self.inner.status
    }

    /// Makes a clean slot ready for one run in `workspace`: the configuration with our rules, and
    /// fresh layers. May be called again for the next run in the same slot, or after
    /// [`Fence::fall_back`].
    ///
    /// # Errors
    /// [`FenceError::Exposed`], [`FenceError::Prepare`].
    pub async fn prepare(
        &self,
        slot: &SlotDirs,
        workspace: &Path,
    ) -> Result<Enclosure, FenceError> {
        let fence = self.clone();
        let (slot, workspace) = (slot.clone(), workspace.to_owned());
        blocking(move || fence.prepare_with(&slot, &workspace, None)).await
    }

    /// The same; a run with rules of its own has no view, and none of ours. Blocking.
    ///
    /// # Errors
    /// As [`Fence::prepare`].
    pub fn prepare_with(
        &self,
        slot: &SlotDirs,
        workspace: &Path,
        rules: Option<Rules>,
    ) -> Result<Enclosure, FenceError> {
        Enclosure::prepare(&self.inner, slot, workspace, rules)
    }

    /// The run that a launcher waits for in a clean slot, if it is this one and the fence is off. Its program
    /// can be started before the slot was looked at, but must get nothing until it [is
    /// ready](Fence::is_ready).
    #[must_use]
    pub fn awaited(
        &self,
        slot: &SlotDirs,
        workspace: &Path,
        rules: Option<Rules>,
    ) -> Option<Enclosure> {
        Enclosure::awaited(&self.inner, slot, workspace, rules)
    }

    /// Whether preparing a run that was [awaited](Fence::awaited) would change nothing. Blocking.
    #[must_use]
    pub fn is_ready(&self, run: &Enclosure, slot: &SlotDirs, rules: Option<Rules>) -> bool {
        run.is_ready(&self.inner, slot, rules)
    }

    /// What to do in a slot when this run is over and the slot is clean: the next run there, of the
    /// same workspace, will start sooner. To be called within the runtime.
    #[must_use]
    pub fn warming(&self, run: &Enclosure) -> Option<WhenClean> {
        let runtime = Handle::try_current().ok()?;
        let (inner, again) = (Arc::clone(&self.inner), run.again());
        Some(WhenClean::new(move |slot| {
            if inner.warm.has_room()
                && let Some(launch) = again.launch_in(&inner, slot)
            {
                WarmLaunchers::keep(&inner, slot.root(), (again, launch), &runtime);
            }
        }))
    }

    /// Ends the launchers that wait for runs; none will come.
    pub async fn close(&self) {
        self.inner.warm.close().await;
    }

    /// A program of ours behind the same fence, such as a tool's executor: it can write below
    /// `writable`, and use a network only if `network`. The paths must exist and be free of
    /// symlinks; one of them should be its `TMPDIR`. Whatever it starts ends with it. To be started
    /// by this process. On a machine without some of the fence's mechanisms it has what is left;
    /// with [`FenceMode::Off`] only the network is denied, on Linux.
    #[must_use]
    pub fn confine(&self, spec: SpawnSpec, writable: &[PathBuf], network: bool) -> SpawnSpec {
        let mut launch = Launch {
            writable: writable.to_vec(),
            ..Launch::default()
        };
        if self.inner.status.mode != FenceMode::Off {
            self.inner.strength.apply(&mut launch);
        }
        launch.no_network = !network;
        if cfg!(target_os = "linux") {
            launched(&self.inner.config.launcher, &launch, spec)
        } else {
            spec
        }
    }

    /// To be called with the launcher's failure: the agent has not run. `Ok` means that this
    /// workspace will be prepared without a view from now on, so try again.
    ///
    /// # Errors
    /// [`FenceError::Launch`] if the view is not what failed.
    pub async fn fall_back(&self, run: &Enclosure, failure: Failure) -> Result<(), FenceError> {
        let about_the_view = matches!(failure.stage, Stage::Open | Stage::Overlay | Stage::Bind);
        if !run.has_view() || !about_the_view {
            return Err(FenceError::Launch(failure));
        }
        let reason = explain(&failure, run.has_nested_mounts()).await;
        let workspace = run.workspace().to_owned();
        tracing::warn!(workspace = %workspace.display(), %failure, "no view: {reason}");
        let mut no_view = lock(&self.inner.no_view);
        if no_view.len() >= REMEMBERED {
            no_view.clear();
        }
        no_view.insert(workspace, reason);
        Ok(())
    }
}

impl PolicyInner {
    /// The directory of Cursor's state in which a workspace lies, if any: there the agent can write.
    ///
    /// # Errors
    /// [`FenceError::Exposed`], if a fence is required.
    pub(super) fn exposure(&self, workspace: &Path) -> Result<Option<&Path>, FenceError> {
        let root = self.state.iter().find(|root| workspace.starts_with(root));
        match root {
            Some(root) if self.status.mode == FenceMode::Require => Err(FenceError::Exposed {
                workspace: workspace.to_owned(),
                root: root.clone(),
            }),
            root => Ok(root.map(PathBuf::as_path)),
        }
    }
}
