//! Trying the fence once: a shell behind it attempts what must not work.
//!
//! Here it is found out which mechanisms work; `layers` says what that comes to, and `shell` tries.

mod layers;
mod shell;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    FenceStatus, Layer, Reason,
    cgroup::Cgroups,
    launcher::{Report, Stage},
    policy::{Fence, FenceConfig, FenceError, FenceMode, PolicyInner, Strength},
    reason::explain,
};
use crate::{
    sandbox::slot::{Places, SlotDirs},
    threads::{blocking, lock},
};
use layers::SOCKETS_ABI;

/// Finds out what holds. See [`Fence::probe`].
pub(super) async fn run(
    config: &FenceConfig,
    places: &Places,
    slot: &SlotDirs,
    workspace: Option<&Path>,
) -> Result<Fence, FenceError> {
    let mode = config.mode;
    let off = FenceStatus::not_needed(FenceMode::Off, "turned off by --fence off");
    let mut probe = Probe {
        inner: PolicyInner {
            config: config.clone(),
            state: make(places.state.clone()).await,
            logins: places.logins.clone(),
            status: off,
            strength: Strength::default(),
            cgroups: None,
            warm: Arc::default(),
            no_view: Arc::default(),
        },
        slot: slot.clone(),
    };
    if mode == FenceMode::Off {
        return Ok(probe.fence());
    }
    // What a workspace allows is not in question here.
    probe.inner.status.mode = FenceMode::Auto;
    probe.inner.status.deny_rules = Layer::partial(
        None,
        "Cursor's configuration denies shell, MCP and web fetches; Cursor itself must keep to it",
    );
    probe.layers(mode).await?;
    let real = workspace.and_then(|path| path.canonicalize().ok());
    if let (true, Some(workspace)) = (probe.inner.status.view.holds(), workspace)
        && let Some((reason, sentence)) = probe.workspace(workspace).await?
    {
        probe.inner.status.view = Layer::partial(Some(reason), sentence);
        let workspace = real.clone().unwrap_or_else(|| workspace.to_owned());
        lock(&probe.inner.no_view).insert(workspace, reason);
    }
    probe.inner.status.mode = mode;
    if mode == FenceMode::Require
        && let Some(broken) = probe.inner.status.broken_promise()
    {
        let sentence = broken.sentence.clone();
        return Err(FenceError::NotEnforced { sentence });
    }
    if let Some(workspace) = real {
        probe.inner.exposure(&workspace)?;
    }
    Ok(probe.fence())
}

impl Fence {
    /// What this fence is, with other places.
    pub(super) async fn at(&self, places: &Places) -> Self {
        let inner = PolicyInner {
            state: make(places.state.clone()).await,
            logins: places.logins.clone(),
            warm: Arc::default(),
            no_view: Arc::default(),
            ..PolicyInner::clone(&self.inner)
        };
        Self {
            inner: Arc::new(inner),
        }
    }
}

/// A rule needs an existing path, and the fence compares paths free of symlinks. What cannot be
/// made is not writable for the agent either.
async fn make(state: Vec<PathBuf>) -> Vec<PathBuf> {
    let made = state.into_iter().filter_map(|path| {
        std::fs::create_dir_all(&path).ok()?;
        path.canonicalize().ok()
    });
    blocking(move || made.collect()).await
}

struct Probe {
    /// The layers as they stand so far.
    inner: PolicyInner,
    slot: SlotDirs,
}

impl Probe {
    /// A fence with the layers as they stand.
    fn fence(&self) -> Fence {
        Fence {
            inner: Arc::new(self.inner.clone()),
        }
    }

    /// Finds the mechanisms that work, and with them the layers that hold.
    async fn layers(&mut self, mode: FenceMode) -> Result<(), FenceError> {
        if !cfg!(target_os = "linux") {
            return self.seatbelt().await;
        }
        let no_cgroup = self.take_cgroups().await?;
        self.inner.strength.landlock = true;
        let landlock = self.attempt().await?;
        self.inner.strength.landlock = landlock.is_ok();
        let abi = landlock
            .as_ref()
            .ok()
            .and_then(|report| report.landlock_abi);
        // Landlock's abstract sockets stay open below ABI 6, all others below ABI 9.
        self.inner.strength.no_unix_sockets =
            mode == FenceMode::Require && abi.is_none_or(|abi| abi < SOCKETS_ABI);

        self.inner.strength.mounts = true;
        self.inner.strength.processes = true;
        let full = self.attempt().await?;
        if let Err(failure) = &full {
            self.inner.strength.processes = false;
            self.inner.strength.mounts =
                failure.stage == Stage::Proc && self.attempt().await?.is_ok();
        }
        let why = match &full {
            Ok(_) => None,
            Err(failure) => Some((explain(failure, false).await, failure.to_string())),
        };
        let report = full.as_ref().ok().cloned().unwrap_or(Report {
            pid_limit: self.inner.cgroups.is_some(),
            ..Report::default()
        });
        let limits = self.inner.config.limits;
        self.inner.status.limits = limits.layer(&report, no_cgroup.as_deref());
        self.inner.status.processes = layers::processes(&report, why.as_ref());
        self.inner.status.sockets = layers::sockets(self.inner.strength, abi);
        self.inner.status.writes = self.writes(abi, landlock.err(), why.as_ref()).await?;
        self.inner.status.view = match (self.inner.strength.mounts, &why) {
            (false, Some((reason, detail))) => {
                Layer::unavailable(*reason, format!("no view: {reason} ({detail})"))
            }
            _ => {
                self.inner.status.view = Layer::enforced("assumed");
                self.view().await?
            }
        };
        if self.inner.status.writes.reason == Some(Reason::Ineffective) {
            let reason = Reason::Ineffective;
            let status = &mut self.inner.status;
            for layer in [
                &mut status.processes,
                &mut status.sockets,
                &mut status.limits,
            ] {
                *layer = Layer::unavailable(reason, reason.to_string());
            }
        }
        Ok(())
    }

    /// Has the runs limited by cgroups, if that was asked for. Why they can't be.
    async fn take_cgroups(&mut self) -> Result<Option<String>, FenceError> {
        if self.inner.config.limits.memory.is_none() {
            return Ok(None);
        }
        match blocking(Cgroups::take).await {
            Ok(cgroups) => self.inner.cgroups = Some(Arc::new(cgroups)),
            Err(why) => return Ok(Some(why)),
        }
        let tried = self.attempt().await;
        let refused = match tried {
            Ok(Ok(_)) => None,
            Ok(Err(failure)) => Some(failure.message),
            Err(FenceError::Prepare { source, .. }) => Some(source.to_string()),
            Err(error) => return Err(error),
        };
        if refused.is_some() {
            self.inner.cgroups = None;
        }
        Ok(refused)
    }

    /// Whether the workspace itself can have a view; nothing is attempted in it.
    async fn workspace(&self, workspace: &Path) -> Result<Option<(Reason, String)>, FenceError> {
        let fence = self.fence();
        let run = fence.prepare(&self.slot, workspace).await?;
        let refused = |reason: Reason, why: &str| {
            let place = workspace.display();
            Some((
                reason,
                format!("views work here, but not of {place}: {reason}{why}"),
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
