//! The launcher: a hidden subcommand of our own binary that fences itself in and becomes the agent.
//!
//! ```text
//! open-cursor agent-launcher --view AT UPPER WORK --landlock --writable DIR … --cwd DIR -- agent -p …
//! ```
//!
//! Namespaces, mounts and Landlock apply to the thread that asks for them, so they must be set up
//! in a process that has one thread and nothing else to do. The arguments are a private contract
//! between `Launch::to_args` and [`main`]: both come from the same build. It knows no policy: what
//! to show and what to allow is decided by the server.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

/// The hidden subcommand's name.
pub const SUBCOMMAND: &str = "agent-launcher";

/// Exit code of a launcher that could not start the agent. Together with a [`Line::Failed`] on
/// stderr it says that the agent has not run at all.
pub const EXIT_FAILED: u8 = 97;

/// What every line of the launcher's own begins with.
const PREFIX: &str = "open-cursor-launcher ";

/// One overlay: `at` shows itself, and what is written there goes to `upper`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Overlay {
    /// A directory, without symlinks in its path.
    pub at: PathBuf,
    /// Receives the changes; empty at the start.
    pub upper: PathBuf,
    /// Overlayfs's own working directory, on the same file system as `upper`.
    pub work: PathBuf,
}

/// Everything that the launcher needs to know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Launch {
    /// The view: the workspace's overlay, then those of the mounts below it, parents first.
    /// Empty: no namespace is made.
    pub overlays: Vec<Overlay>,
    /// Mount points in the view that are shown but not writable.
    pub read_only: Vec<PathBuf>,
    /// Paths in the view that are shown as they really are, and stay writable.
    pub keep: Vec<PathBuf>,
    /// With Landlock: the paths that may be written besides the overlays. `None`: no Landlock.
    pub writable: Option<Vec<PathBuf>>,
    /// Say on stderr what was set up. For the probe.
    pub report: bool,
    /// The agent's working directory, entered when the view stands.
    pub cwd: PathBuf,
    /// The agent.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
}

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
    /// A failure of `stage` while doing `what`.
    pub(super) fn new(
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
}

/// A line of the launcher on stderr.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// The agent was not started.
    Failed(Failure),
    /// The fence stands; the agent starts next.
    Ready(Report),
}

impl Line {
    /// Reads one line of stderr; `None` if it is not the launcher's.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        serde_json::from_str(line.trim_end().strip_prefix(PREFIX)?).ok()
    }

    fn write(&self) {
        if let Ok(json) = serde_json::to_string(self) {
            // Nobody is left to tell if stderr is gone.
            let _ = writeln!(std::io::stderr(), "{PREFIX}{json}");
        }
    }
}

impl Launch {
    /// The arguments of our own binary that make it this launcher.
    pub(super) fn to_args(&self) -> Vec<OsString> {
        let mut args: Vec<OsString> = vec![SUBCOMMAND.into()];
        let mut push = |flag: &str, values: &[&PathBuf]| {
            args.push(flag.into());
            args.extend(values.iter().map(|path| path.as_os_str().to_owned()));
        };
        for Overlay { at, upper, work } in &self.overlays {
            push("--view", &[at, upper, work]);
        }
        for path in &self.read_only {
            push("--read-only", &[path]);
        }
        for path in &self.keep {
            push("--keep", &[path]);
        }
        if let Some(writable) = &self.writable {
            push("--landlock", &[]);
            for path in writable {
                push("--writable", &[path]);
            }
        }
        if self.report {
            push("--report", &[]);
        }
        push("--cwd", &[&self.cwd]);
        push("--", &[&self.program]);
        args.extend(self.args.iter().cloned());
        args
    }

    /// The inverse of [`Launch::to_args`], without the subcommand. `None` if it is not its output.
    fn from_args(args: impl IntoIterator<Item = OsString>) -> Option<Self> {
        let mut args = args.into_iter();
        let mut launch = Self::default();
        loop {
            let flag = args.next()?;
            let mut path = || args.next().map(PathBuf::from);
            match flag.to_str()? {
                "--view" => launch.overlays.push(Overlay {
                    at: path()?,
                    upper: path()?,
                    work: path()?,
                }),
                "--read-only" => launch.read_only.push(path()?),
                "--keep" => launch.keep.push(path()?),
                "--landlock" => launch.writable = Some(Vec::new()),
                "--writable" => launch.writable.as_mut()?.push(path()?),
                "--report" => launch.report = true,
                "--cwd" => launch.cwd = path()?,
                "--" => {
                    launch.program = path()?;
                    launch.args = args.collect();
                    return Some(launch);
                }
                _ => return None,
            }
        }
    }
}

/// Runs the launcher with what follows [`SUBCOMMAND`]. Returns only if the agent was not started.
///
/// Must be called before the process has a second thread.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let failure = match Launch::from_args(args) {
        Some(launch) => run(&launch),
        None => Failure {
            stage: Stage::Arguments,
            errno: None,
            message: "the launcher's arguments are not of this build".into(),
        },
    };
    Line::Failed(failure).write();
    ExitCode::from(EXIT_FAILED)
}

#[cfg(target_os = "linux")]
fn run(launch: &Launch) -> Failure {
    use std::os::unix::process::CommandExt;

    let mut report = Report::default();
    if !launch.overlays.is_empty() {
        match super::view::enter(launch) {
            Ok(read_only) => report.read_only = read_only,
            Err(failure) => return failure,
        }
    }
    if let Some(writable) = &launch.writable {
        let views = launch.overlays.first().map(|overlay| &overlay.at);
        match super::landlock::restrict(writable.iter().chain(views)) {
            Ok(abi) => report.landlock_abi = Some(abi),
            Err(failure) => return failure,
        }
    }
    // The inherited directory is the real one below the view: it must be looked up again.
    if let Err(error) = std::env::set_current_dir(&launch.cwd) {
        return Failure::new(Stage::Directory, launch.cwd.display(), error);
    }
    if launch.report {
        Line::Ready(report).write();
    }
    let error = std::process::Command::new(&launch.program)
        .args(&launch.args)
        .exec();
    Failure::new(Stage::Exec, launch.program.display(), error)
}

#[cfg(not(target_os = "linux"))]
fn run(_: &Launch) -> Failure {
    Failure::new(
        Stage::Namespace,
        "the launcher",
        std::io::Error::from(std::io::ErrorKind::Unsupported),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path() -> impl Strategy<Value = PathBuf> {
        ".{0,12}".prop_map(PathBuf::from)
    }

    proptest! {
        #[test]
        fn the_arguments_survive(
            overlays in prop::collection::vec((path(), path(), path()), 0..3),
            read_only in prop::collection::vec(path(), 0..3),
            keep in prop::collection::vec(path(), 0..3),
            writable in prop::option::of(prop::collection::vec(path(), 0..3)),
            report: bool,
            cwd in path(),
            program in path(),
            args in prop::collection::vec(".{0,12}".prop_map(OsString::from), 0..4),
        ) {
            let overlays = overlays
                .into_iter()
                .map(|(at, upper, work)| Overlay { at, upper, work })
                .collect();
            let launch = Launch { overlays, read_only, keep, writable, report, cwd, program, args };
            let rendered = launch.to_args();
            prop_assert_eq!(rendered[0].as_os_str(), SUBCOMMAND);
            prop_assert_eq!(Launch::from_args(rendered.into_iter().skip(1)), Some(launch));
        }
    }

    #[test]
    fn broken_arguments_are_refused() {
        for args in [
            &[][..],
            &["--cwd"],
            &["--cwd", "/"],
            &["--writable", "/", "--", "x"],
            &["--what", "--", "x"],
        ] {
            let args = args.iter().map(OsString::from);
            assert_eq!(Launch::from_args(args), None);
        }
    }

    #[test]
    fn only_our_own_lines_are_read() {
        let failure = Failure::new(Stage::Overlay, "/w", std::io::Error::from_raw_os_error(1));
        let line = Line::Failed(failure);
        let text = format!("{PREFIX}{}\n", serde_json::to_string(&line).unwrap());
        assert_eq!(Line::parse(&text), Some(line));
        assert_eq!(Line::parse("Error: Authentication required"), None);
        assert_eq!(Line::parse("open-cursor-launcher {}"), None);
    }
}
