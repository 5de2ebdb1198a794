//! A shell behind the fence.

use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use super::Probe;
use crate::sandbox::{
    fence::{
        Enclosure, FenceError,
        launcher::{Failure, Line, Report, Stage},
    },
    process::SpawnSpec,
};

/// A launcher that takes longer hangs, perhaps on a dead network file system.
const PATIENCE: Duration = Duration::from_secs(10);

/// Writes one file per argument and continues if it may not.
const SCRIPT: &str = r#"for file; do (echo x > "$file") 2>/dev/null; done; exit 0"#;

impl Probe {
    /// Starts a shell that does nothing, with the mechanisms as they stand in `strength`.
    pub(super) async fn attempt(&self) -> Result<Result<Report, Failure>, FenceError> {
        let fence = self.fence();
        let run = fence.prepare(&self.slot, &self.slot.workspace()).await?;
        Ok(behind(run, &[]).await)
    }

    /// Has a shell write where it may and where it may not. Whether only the former worked.
    pub(super) async fn trespass(&self) -> Result<Result<bool, Failure>, FenceError> {
        let fence = self.fence();
        let run = fence.prepare(&self.slot, &self.slot.workspace()).await?;
        let allowed = self.slot.tmp().join("probe");
        let denied =
            [self.slot.workspace(), self.slot.root().to_owned()].map(|dir| dir.join("probe"));
        let outcome = behind(run, &[&denied[0], &denied[1], &allowed]).await;
        let went_through = [removed(&denied[0]).await, removed(&denied[1]).await].contains(&true);
        let wrote = removed(&allowed).await;
        Ok(outcome.map(|_| wrote && !went_through))
    }
}

/// Has a shell write to `files` behind the fence.
pub(super) async fn behind(mut run: Enclosure, files: &[&PathBuf]) -> Result<Report, Failure> {
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
    let mut child = spec.command();
    child.stdin(Stdio::null()).kill_on_drop(true);
    let output = match tokio::time::timeout(PATIENCE, child.output()).await {
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
        Some(Line::Stopped(_)) | None => Err(Failure::said(
            Stage::Exec,
            format!("{}: {}", output.status, stderr.trim()),
        )),
    }
}

/// Removes a file. Whether it was there.
pub(super) async fn removed(path: &Path) -> bool {
    tokio::fs::remove_file(path).await.is_ok()
}
