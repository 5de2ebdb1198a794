//! Trying the fence once: a shell behind it attempts what must not work.
//!
//! Here it is found out which mechanisms work; `layers` says what that comes to, and `shell` tries.

mod layers;
mod shell;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use super::{
    FenceStatus, Layer, Reason,
    cgroup::Cgroups,
    launcher::{Report, Stage},
    policy::{Fence, FenceConfig, FenceError, FenceMode, PolicyInner, Strength},
    reason::explain,
    warm::WarmLaunchers,
};
use crate::sandbox::slot::{Places, SlotDirs};
use layers::SOCKETS_ABI;

/// Finds out what holds. See [`Fence::probe`].
pub(super) async fn run(
    config: &FenceConfig,
    places: &Places,
    slot: &SlotDirs,
    workspace: Option<&Path>,
) -> Result<Fence, FenceError> {
    let mode = config.mode;
    let mut probe = Probe {
        config: config.clone(),
        cgroups: None,
        state: make(places.state.clone()).await,
        logins: places.logins.clone(),
        slot: slot.clone(),
        status: FenceStatus::off(),
        strength: Strength::default(),
    };
    if mode == FenceMode::Off {
        return Ok(probe.fence(HashMap::new()));
    }
    // What a workspace allows is not in question here.
    probe.status.mode = FenceMode::Auto;
    probe.status.deny_rules = Layer::partial(
        None,
        "Cursor's configuration denies shell, MCP and web fetches; Cursor itself must keep to it",
    );
    probe.layers(mode).await?;
    let mut no_view = HashMap::new();
    if let (true, Some(workspace)) = (probe.status.view.holds(), workspace)
        && let Some((reason, sentence)) = probe.workspace(workspace).await?
    {
        probe.status.view = Layer::partial(Some(reason), sentence);
        no_view.insert(
            workspace
                .canonicalize()
                .unwrap_or_else(|_| workspace.to_owned()),
            reason,
        );
    }
    probe.status.mode = mode;
    if mode == FenceMode::Require
        && let Some(broken) = probe.status.broken_promise()
    {
        let sentence = broken.sentence.clone();
        return Err(FenceError::NotEnforced { sentence });
    }
    let fence = probe.fence(no_view);
    if let Some(workspace) = workspace.and_then(|path| path.canonicalize().ok()) {
        fence.inner.exposure(&workspace)?;
    }
    Ok(fence)
}

/// A rule needs an existing path, and the fence compares paths free of symlinks. What cannot be
/// made is not writable for the agent either.
async fn make(state: Vec<PathBuf>) -> Vec<PathBuf> {
    let made = tokio::task::spawn_blocking(move || {
        let made = state.into_iter().filter_map(|path| {
            std::fs::create_dir_all(&path).ok()?;
            path.canonicalize().ok()
        });
        made.collect()
    });
    made.await.unwrap_or_default()
}

struct Probe {
    config: FenceConfig,
    cgroups: Option<Arc<Cgroups>>,
    state: Vec<PathBuf>,
    logins: Vec<PathBuf>,
    slot: SlotDirs,
    status: FenceStatus,
    strength: Strength,
}

impl Probe {
    /// A fence with the layers as they stand in `status`.
    fn fence(&self, no_view: HashMap<PathBuf, Reason>) -> Fence {
        Fence {
            inner: Arc::new(PolicyInner {
                launcher: self.config.launcher.clone(),
                limits: self.config.limits,
                cgroups: self.cgroups.clone(),
                warm: WarmLaunchers::default(),
                state: self.state.clone(),
                logins: self.logins.clone(),
                status: self.status.clone(),
                strength: self.strength,
                no_view: Mutex::new(no_view),
            }),
        }
    }

    /// Finds the mechanisms that work, and with them the layers that hold.
    async fn layers(&mut self, mode: FenceMode) -> Result<(), FenceError> {
        if !cfg!(target_os = "linux") {
            return self.seatbelt().await;
        }
        let no_cgroup = self.take_cgroups().await?;
        self.strength.landlock = true;
        let landlock = self.attempt().await?;
        self.strength.landlock = landlock.is_ok();
        let abi = landlock
            .as_ref()
            .ok()
            .and_then(|report| report.landlock_abi);
        // Landlock's abstract sockets stay open below ABI 6, all others below ABI 9.
        self.strength.no_unix_sockets =
            mode == FenceMode::Require && abi.is_none_or(|abi| abi < SOCKETS_ABI);

        self.strength.mounts = true;
        self.strength.processes = true;
        let full = self.attempt().await?;
        if let Err(failure) = &full {
            self.strength.processes = false;
            self.strength.mounts = failure.stage == Stage::Proc && self.attempt().await?.is_ok();
        }
        let why = match &full {
            Ok(_) => None,
            Err(failure) => Some((explain(failure, false).await, failure.to_string())),
        };
        let report = full.as_ref().ok().cloned().unwrap_or(Report {
            pid_limit: self.cgroups.is_some(),
            ..Report::default()
        });
        let limits = self.config.limits;
        self.status.limits = limits.layer(&report, no_cgroup.as_deref());
        self.status.processes = layers::processes(&report, why.as_ref());
        self.status.sockets = layers::sockets(self.strength, abi);
        self.status.writes = self.writes(abi, landlock.err(), why.as_ref()).await?;
        self.status.view = match (self.strength.mounts, &why) {
            (false, Some((reason, detail))) => {
                let sentence = format!("no view: {} ({detail})", reason.sentence());
                Layer::unavailable(*reason, sentence)
            }
            _ => {
                self.status.view = Layer::enforced("assumed");
                self.view().await?
            }
        };
        if self.status.writes.reason == Some(Reason::Ineffective) {
            let reason = Reason::Ineffective;
            let status = &mut self.status;
            for layer in [
                &mut status.processes,
                &mut status.sockets,
                &mut status.limits,
            ] {
                *layer = Layer::unavailable(reason, reason.sentence());
            }
        }
        Ok(())
    }

    /// Has the runs limited by cgroups, if that was asked for. Why they can't be.
    async fn take_cgroups(&mut self) -> Result<Option<String>, FenceError> {
        if self.config.limits.memory.is_none() {
            return Ok(None);
        }
        match tokio::task::spawn_blocking(Cgroups::take).await {
            Ok(Ok(cgroups)) => self.cgroups = Some(Arc::new(cgroups)),
            Ok(Err(why)) => return Ok(Some(why)),
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
        let tried = self.attempt().await;
        let refused = match tried {
            Ok(Ok(_)) => None,
            Ok(Err(failure)) => Some(failure.message),
            Err(FenceError::Prepare { source, .. }) => Some(source.to_string()),
            Err(error) => return Err(error),
        };
        if refused.is_some() {
            self.cgroups = None;
        }
        Ok(refused)
    }

    /// Whether the workspace itself can have a view; nothing is attempted in it.
    async fn workspace(&self, workspace: &Path) -> Result<Option<(Reason, String)>, FenceError> {
        let fence = self.fence(HashMap::new());
        let run = fence.prepare(&self.slot, workspace).await?;
        let refused = |reason: Reason, why: &str| {
            let (place, what) = (workspace.display(), reason.sentence());
            Some((
                reason,
                format!("views work here, but not of {place}: {what}{why}"),
            ))
        };
        if !run.has_view() {
            let root = run.workspace().parent().is_none();
            let reason = if root {
                Reason::RootDirectory
            } else {
                Reason::NestedMounts
            };
            return Ok(refused(reason, ""));
        }
        let nested = run.has_nested_mounts();
        Ok(match shell::behind(run, &[]).await {
            Ok(_) => None,
            Err(failure) => {
                let reason = explain(&failure, nested).await;
                refused(reason, &format!(" ({failure})"))
            }
        })
    }
}
