//! What the launcher says on stderr, and how the server reads it.

use std::{io::Write, path::PathBuf};

use serde::{Deserialize, Serialize};

/// What every line of the launcher begins with.
const PREFIX: &str = "open-cursor-launcher ";

/// The step that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Our own arguments were not understood.
    Arguments,
    /// `unshare`.
    Namespace,
    /// Writing the identity map of the user namespace.
    IdentityMap,
    /// Cutting the mounts off from the rest of the system.
    Private,
    /// Opening a directory of the view.
    Open,
    /// Mounting an overlay.
    Overlay,
    /// Mounting a real path into the view.
    Bind,
    /// Making everything else read-only.
    ReadOnly,
    /// Giving the run its own `/dev`.
    Devices,
    /// Giving the run its own `/proc`.
    Proc,
    /// Covering a UNIX socket.
    Socket,
    /// Dropping privileges and setting limits.
    Privileges,
    /// Applying the system call filter.
    Filter,
    /// Applying Landlock.
    Landlock,
    /// Entering the working directory.
    Directory,
    /// Starting the agent.
    Exec,
}

/// Why the agent was not started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The step.
    pub stage: Stage,
    /// The system's error number, where it gave one.
    pub errno: Option<i32>,
    /// What was tried, and the system's words.
    pub message: String,
}

impl Failure {
    /// A failure of `stage` in words.
    pub(in crate::sandbox) fn said(stage: Stage, message: impl Into<String>) -> Self {
        Self {
            stage,
            errno: None,
            message: message.into(),
        }
    }

    /// What makes an error a failure of `stage` while doing `what`.
    pub(in crate::sandbox) fn at<E: Into<std::io::Error>>(
        stage: Stage,
        what: impl std::fmt::Display,
    ) -> impl FnOnce(E) -> Self {
        move |error| Self::new(stage, what, error)
    }

    /// A failure of `stage` while doing `what`.
    pub(in crate::sandbox) fn new(
        stage: Stage,
        what: impl std::fmt::Display,
        error: impl Into<std::io::Error>,
    ) -> Self {
        let error = error.into();
        Self {
            stage,
            errno: error.raw_os_error(),
            message: format!("{what}: {error}"),
        }
    }
}

/// What was set up, as the probe asks to know.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The Landlock ABI in force, if it was asked for.
    pub landlock_abi: Option<u32>,
    /// The nested mounts that could carry no overlay and became read-only.
    pub read_only: Vec<PathBuf>,
    /// Whether the run has a PID namespace of its own.
    pub pid_namespace: bool,
    /// Whether its system calls are filtered.
    pub filter: bool,
    /// Whether the number of its processes is limited.
    pub pid_limit: bool,
}

/// A line of the launcher on stderr.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// The agent was not started.
    Failed(Failure),
    /// Everything is set up; the agent starts next.
    Ready(Report),
    /// The run was ended for having used up too much. A sentence for the user.
    Stopped(String),
}

impl Line {
    /// Reads one line of stderr; `None` if it is not the launcher's.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        serde_json::from_str(line.trim_end().strip_prefix(PREFIX)?).ok()
    }

    pub(super) fn write(&self) {
        if let Ok(json) = serde_json::to_string(self) {
            // Without stderr there is nobody to report to.
            let _ = writeln!(std::io::stderr(), "{PREFIX}{json}");
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_of_the_launcher_are_read() {
        let failure = Failure::new(Stage::Overlay, "/w", std::io::Error::from_raw_os_error(1));
        let line = Line::Failed(failure);
        let text = format!("{PREFIX}{}\n", serde_json::to_string(&line).unwrap());
        assert_eq!(Line::parse(&text), Some(line));
        assert_eq!(Line::parse("Error: Authentication required"), None);
        assert_eq!(Line::parse("open-cursor-launcher {}"), None);
    }
}
