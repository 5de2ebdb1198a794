//! Trying the real thing once: a shell behind the fence attempts what must not work.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::launcher::{Failure, Line, Report, Stage};
use super::policy::{Fence, FenceError, FenceMode, Inner};
use super::reason::explain;
use super::{Enclosure, FenceStatus, Layer, Reason, State};
use crate::sandbox::process::SpawnSpec;
use crate::sandbox::slot::SlotDirs;

/// A launcher that takes longer hangs, perhaps on a dead network file system.
const PATIENCE: Duration = Duration::from_secs(10);

/// The first Landlock ABI that covers everything that changes a file's contents.
const COMPLETE_ABI: u32 = 3;

/// Writes one file per argument and goes on if it may not.
const SCRIPT: &str = r#"for file; do (echo x > "$file") 2>/dev/null; done; exit 0"#;

/// Finds out what holds. See [`Fence::probe`].
pub(super) async fn run(
    mode: FenceMode,
    launcher: &Path,
    state: &[PathBuf],
    slot: &SlotDirs,
    workspace: Option<&Path>,
) -> Result<Fence, FenceError> {
    let mut probe = Probe {
        launcher: launcher.to_owned(),
        state: make(state.to_vec()).await,
        slot: slot.clone(),
        status: FenceStatus::off(),
    };
    if mode == FenceMode::Off {
        return Ok(probe.fence(HashMap::new()));
    }
    probe.status = FenceStatus {
        // What a workspace allows is not in question here.
        mode: FenceMode::Auto,
        view: Layer::off(),
        writes: Layer::enforced("assumed"),
        deny_rules: Layer::partial(
            None,
            "Cursor's configuration denies shell, MCP and web fetches; Cursor itself must keep to it",
        ),
    };
    probe.status.writes = probe.writes().await?;
    if cfg!(target_os = "linux") {
        probe.status.view = Layer::enforced("assumed");
        probe.status.view = probe.view().await?;
    } else {
        let reason = Reason::OperatingSystem;
        probe.status.view = Layer::unavailable(reason, format!("no view: {}", reason.sentence()));
    }
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
    if mode == FenceMode::Require && probe.status.writes.state != State::Enforced {
        let sentence = probe.status.writes.sentence;
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
    launcher: PathBuf,
    state: Vec<PathBuf>,
    slot: SlotDirs,
    status: FenceStatus,
}

impl Probe {
    /// A fence with the layers as they stand in `status`.
    fn fence(&self, no_view: HashMap<PathBuf, Reason>) -> Fence {
        Fence {
            inner: Arc::new(Inner {
                launcher: self.launcher.clone(),
                state: self.state.clone(),
                status: self.status.clone(),
                no_view: Mutex::new(no_view),
            }),
        }
    }

    async fn writes(&self) -> Result<Layer, FenceError> {
        let fence = self.fence(HashMap::new());
        let run = fence
            .prepare(&self.slot, &self.slot.workspace(), Vec::new())
            .await?;
        let allowed = self.slot.tmp().join("probe");
        let denied =
            [self.slot.workspace(), self.slot.forbidden().to_owned()].map(|dir| dir.join("probe"));
        let attempted = [&denied[0], &denied[1], &allowed];
        let outcome = behind(run, &attempted).await;
        let went_through = [removed(&denied[0]).await, removed(&denied[1]).await].contains(&true);
        let report = match outcome {
            Ok(report) => report,
            Err(failure) => {
                let reason = match failure.stage {
                    Stage::Landlock => Reason::NoLandlock,
                    _ => Reason::Other,
                };
                return Ok(not_limited(reason, &failure.message));
            }
        };
        if went_through || !removed(&allowed).await {
            return Ok(not_limited(Reason::Ineffective, "tried with a shell"));
        }
        Ok(match report.landlock_abi {
            Some(abi) if abi < COMPLETE_ABI => Layer::partial(
                Some(Reason::KernelTooOld),
                format!(
                    "Landlock (ABI {abi}) limits where the agent can write, but files can still be \
                     truncated; Linux 6.2 closes that"
                ),
            ),
            Some(abi) => Layer::enforced(format!(
                "Landlock (ABI {abi}) lets the agent write only to its view, its slot and Cursor's \
                 own state; modes and times of other files are not covered"
            )),
            None => Layer::enforced(
                "sandbox-exec lets the agent write only to its slot and Cursor's own state",
            ),
        })
    }

    async fn view(&self) -> Result<Layer, FenceError> {
        let fence = self.fence(HashMap::new());
        let workspace = self.slot.workspace();
        let run = fence.prepare(&self.slot, &workspace, Vec::new()).await?;
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
            // /proc/PID/root of any process of ours outside leads to the real files; Landlock
            // closes it.
            Ok(_) if !self.status.writes.holds() => Layer::partial(
                self.status.writes.reason,
                "the agent works in a copy-on-write view of the workspace, but without Landlock it \
                 could get at the real files if it tried to",
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
        let run = fence.prepare(&self.slot, workspace, Vec::new()).await?;
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
        None => Err(Failure {
            stage: Stage::Exec,
            errno: None,
            message: format!("{}: {}", output.status, stderr.trim()),
        }),
    }
}

/// Removes a file; whether it was there.
async fn removed(path: &Path) -> bool {
    tokio::fs::remove_file(path).await.is_ok()
}
