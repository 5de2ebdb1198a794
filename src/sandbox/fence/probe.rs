//! Trying the fence once: a shell behind it attempts what must not work.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use super::{
    Enclosure, FenceStatus, Layer, Reason,
    cgroup::Cgroups,
    launcher::{Failure, Line, Report, Stage},
    policy::{Fence, FenceConfig, FenceError, FenceMode, PolicyInner, Strength},
    reason::explain,
    warm::WarmLaunchers,
};
use crate::sandbox::{process::SpawnSpec, slot::SlotDirs};

/// A launcher that takes longer hangs, perhaps on a dead network file system.
const PATIENCE: Duration = Duration::from_secs(10);

/// The first Landlock ABI that covers everything that changes a file's contents.
const COMPLETE_ABI: u32 = 3;

/// The first Landlock ABI that covers UNIX sockets on the file system.
const SOCKETS_ABI: u32 = 9;

/// Writes one file per argument and continues if it may not.
const SCRIPT: &str = r#"for file; do (echo x > "$file") 2>/dev/null; done; exit 0"#;

/// Finds out what holds. See [`Fence::probe`].
pub(super) async fn run(
    config: &FenceConfig,
    state: &[PathBuf],
    slot: &SlotDirs,
    workspace: Option<&Path>,
) -> Result<Fence, FenceError> {
    let mode = config.mode;
    let mut probe = Probe {
        config: config.clone(),
        cgroups: None,
        state: make(state.to_vec()).await,
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
                status: self.status.clone(),
                strength: self.strength,
                no_view: Mutex::new(no_view),
            }),
        }
    }

    /// Finds the mechanisms that work, and with them the layers that hold.
    async fn layers(&mut self, mode: FenceMode) -> Result<(), FenceError> {
        if !cfg!(target_os = "linux") {
            return self.layers_of_seatbelt().await;
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
        let isolated = full.as_ref().is_ok_and(|report| report.pid_namespace);
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
        self.status.processes = processes(isolated, why.as_ref());
        self.status.sockets = self.sockets(abi);
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

    async fn layers_of_seatbelt(&mut self) -> Result<(), FenceError> {
        let reason = Reason::OperatingSystem;
        let missing =
            |what: &str| Layer::unavailable(reason, format!("{what}: {}", reason.sentence()));
        self.status.view = missing("no view");
        self.status.processes = missing("processes of the agent can outlive it");
        self.status.sockets = missing("the agent can use every UNIX socket that you can");
        self.status.limits = missing("nothing limits what a run uses up");
        self.status.writes = Layer::enforced("assumed");
        self.status.writes = match self.trespass().await? {
            Err(failure) => not_limited(Reason::Other, &failure.message),
            Ok(false) => not_limited(Reason::Ineffective, "tried with a shell"),
            Ok(true) => Layer::enforced(
                "sandbox-exec lets the agent write only to its slot and Cursor's state",
            ),
        };
        Ok(())
    }

    /// Starts a shell that does nothing, with the mechanisms as they stand in `strength`.
    async fn attempt(&self) -> Result<Result<Report, Failure>, FenceError> {
        let fence = self.fence(HashMap::new());
        let run = fence.prepare(&self.slot, &self.slot.workspace()).await?;
        Ok(behind(run, &[]).await)
    }

    /// Has a shell write where it may and where it may not. Whether only the former worked.
    async fn trespass(&self) -> Result<Result<bool, Failure>, FenceError> {
        let fence = self.fence(HashMap::new());
        let run = fence.prepare(&self.slot, &self.slot.workspace()).await?;
        let allowed = self.slot.tmp().join("probe");
        let denied =
            [self.slot.workspace(), self.slot.root().to_owned()].map(|dir| dir.join("probe"));
        let outcome = behind(run, &[&denied[0], &denied[1], &allowed]).await;
        let went_through = [removed(&denied[0]).await, removed(&denied[1]).await].contains(&true);
        let wrote = removed(&allowed).await;
        Ok(outcome.map(|_| wrote && !went_through))
    }

    async fn writes(
        &self,
        abi: Option<u32>,
        no_landlock: Option<Failure>,
        no_mounts: Option<&(Reason, String)>,
    ) -> Result<Layer, FenceError> {
        match self.trespass().await? {
            Err(failure) => return Ok(not_limited(Reason::Other, &failure.message)),
            Ok(false) if !self.strength.mounts && !self.strength.landlock => {
                let detail = no_landlock.map(|failure| failure.message);
                return Ok(not_limited(Reason::NoLandlock, &detail.unwrap_or_default()));
            }
            Ok(false) => return Ok(not_limited(Reason::Ineffective, "tried with a shell")),
            Ok(true) => {}
        }
        let where_to = "the agent can write only to its view, its slot and Cursor's state";
        Ok(match (self.strength.mounts, abi) {
            (true, Some(abi)) => Layer::enforced(format!(
                "{where_to}; read-only mounts and Landlock (ABI {abi}) protect everything else, \
                 with its modes, times and attributes"
            )),
            (true, None) => Layer::enforced(format!(
                "{where_to}; read-only mounts protect everything else, with its modes, times and \
                 attributes"
            )),
            (false, abi) => {
                let abi = abi.unwrap_or_default();
                let truncated = match abi < COMPLETE_ABI {
                    true => "truncate other files, and ",
                    false => "",
                };
                let (reason, why) = match no_mounts {
                    Some((reason, _)) => (*reason, reason.sentence()),
                    None => (Reason::Other, Reason::Other.sentence()),
                };
                Layer::partial(
                    Some(reason),
                    format!(
                        "{where_to} (Landlock ABI {abi}), but it can {truncated}change modes and \
                         times: {why}"
                    ),
                )
            }
        })
    }

    fn sockets(&self, abi: Option<u32>) -> Layer {
        if abi.is_some_and(|abi| abi >= SOCKETS_ABI) {
            return Layer::enforced(
                "Landlock keeps the agent from UNIX sockets outside of its view and Cursor's state",
            );
        }
        if self.strength.no_unix_sockets {
            return Layer::enforced(
                "a system call filter denies UNIX sockets to the agent, Cursor's helpers included",
            );
        }
        let why = Reason::OldLandlock.sentence();
        if self.strength.mounts {
            return Layer::partial(
                Some(Reason::OldLandlock),
                format!(
                    "the UNIX sockets that exist when a run starts are covered; the agent can \
                     reach those that programs make during the run: {why}"
                ),
            );
        }
        let sentence = format!("the agent can use every UNIX socket that you can: {why}");
        Layer::unavailable(Reason::OldLandlock, sentence)
    }

    async fn view(&self) -> Result<Layer, FenceError> {
        let fence = self.fence(HashMap::new());
        let workspace = self.slot.workspace();
        let run = fence.prepare(&self.slot, &workspace).await?;
        let seen = self.slot.layer(0).0.join("probe");
        let real = workspace.join("probe");
        let outcome = behind(run, &[&real]).await;
        let (went_through, landed) = (removed(&real).await, removed(&seen).await);
        Ok(match outcome {
            Err(failure) => {
                let reason = explain(&failure, false).await;
                let sentence = format!("no view: {} ({failure})", reason.sentence());
                Layer::unavailable(reason, sentence)
            }
            Ok(_) if went_through || !landed => {
                let reason = Reason::Ineffective;
                Layer::unavailable(reason, format!("no view: {}", reason.sentence()))
            }
            // /proc/PID/root of any process of the user outside leads to the real files, unless
            // Landlock or a PID namespace is in the way.
            Ok(_) if !self.strength.landlock && !self.strength.processes => Layer::partial(
                Some(Reason::NoLandlock),
                "the agent works in a copy-on-write view of the workspace, but could get at the \
                 real files if it tried to",
            ),
            Ok(_) => Layer::enforced(
                "the agent works in a copy-on-write view of the workspace; the real files are only \
                 read",
            ),
        })
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
        Ok(match behind(run, &[]).await {
            Ok(_) => None,
            Err(failure) => {
                let reason = explain(&failure, nested).await;
                refused(reason, &format!(" ({failure})"))
            }
        })
    }
}

fn processes(isolated: bool, why: Option<&(Reason, String)>) -> Layer {
    match (isolated, why) {
        (true, _) => Layer::enforced(
            "each run has a PID namespace and a session of its own, without terminal and \
             capabilities: it sees no other process, and all of its own end with it",
        ),
        (false, Some((reason, detail))) => Layer::partial(
            Some(*reason),
            format!(
                "a run has a session of its own, without terminal and capabilities, and its \
                 processes are looked for and ended; but it sees other processes: {} ({detail})",
                reason.sentence()
            ),
        ),
        (false, None) => {
            let reason = Reason::Ineffective;
            Layer::unavailable(reason, reason.sentence())
        }
    }
}

fn not_limited(reason: Reason, detail: &str) -> Layer {
    let what = reason.sentence();
    let sentence = format!("nothing limits where the agent writes: {what} ({detail})");
    Layer::unavailable(reason, sentence)
}

/// Has a shell write to `files` behind the fence.
async fn behind(mut run: Enclosure, files: &[&PathBuf]) -> Result<Report, Failure> {
    run.report();
    let args = ["-c".into(), SCRIPT.into(), "sh".into()];
    let spec = run.wrap(SpawnSpec {
        program: "/bin/sh".into(),
        args: args
            .into_iter()
            .chain(files.iter().map(|path| path.as_os_str().to_owned()))
            .collect(),
        env: Vec::new(),
        cwd: run.workspace().to_owned(),
    });
    let child = tokio::process::Command::new(&spec.program)
        .args(&spec.args)
        .env_clear()
        .envs(spec.env)
        .current_dir(&spec.cwd)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .output();
    let output = match tokio::time::timeout(PATIENCE, child).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Err(Failure::new(Stage::Exec, spec.program.display(), error)),
        Err(_) => {
            let error = std::io::Error::from(std::io::ErrorKind::TimedOut);
            return Err(Failure::new(Stage::Exec, "the probe", error));
        }
    };
    read(&output)
}

fn read(output: &Output) -> Result<Report, Failure> {
    let stderr = String::from_utf8_lossy(&output.stderr);
    match stderr.lines().find_map(Line::parse) {
        Some(Line::Failed(failure)) => Err(failure),
        Some(Line::Ready(report)) => Ok(report),
        // Seatbelt has no launcher of ours.
        None if output.status.success() => Ok(Report::default()),
        Some(Line::Stopped(_)) | None => Err(Failure {
            stage: Stage::Exec,
            errno: None,
            message: format!("{}: {}", output.status, stderr.trim()),
        }),
    }
}

/// Removes a file. Whether it was there.
async fn removed(path: &Path) -> bool {
    tokio::fs::remove_file(path).await.is_ok()
}
