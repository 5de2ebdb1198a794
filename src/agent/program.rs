//! A program that speaks Cursor's command line, and how it is asked.

use std::{
    ffi::{OsStr, OsString},
    fmt, io,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use bytes::BytesMut;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::{
    AgentError,
    classify::{self, Ending},
};
use crate::sandbox::process::{Process, SpawnSpec};

/// The longest reply to a query, in bytes. The list of models has some 20 kB.
const REPLY: usize = 1 << 20;

/// The longest line that is shown, in characters.
const LINE: usize = 60;

/// A program that speaks Cursor's command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Absolute. Symlinks are left alone: an update of the CLI changes what they point to.
    pub path: PathBuf,
    /// What comes before any argument of the CLI.
    pub leading_args: Vec<OsString>,
}

/// What a short command answered.
#[derive(Debug, Clone, Default)]
pub struct ProgramReply {
    /// The exit status. The CLI answers some failures with 0.
    pub status: Option<ExitStatus>,
    /// Its output without colours.
    pub stdout: String,
    /// The end of its stderr without colours and secrets.
    pub stderr: String,
}

impl ProgramReply {
    /// The first line that says something, fit to be shown whatever the program is.
    #[must_use]
    pub fn first_line(&self) -> Option<String> {
        let mut lines = self.stdout.lines().map(|line| {
            let shown = line.chars().filter(|c| !c.is_control());
            shown.take(LINE).collect::<String>().trim().to_owned()
        });
        lines.find(|line| !line.is_empty())
    }

    /// What the reply means if it is not the one that was asked for.
    #[must_use]
    pub fn error(&self) -> AgentError {
        classify::ending(Ending {
            status: self.status,
            notes: &self.stdout,
            stderr: &self.stderr,
            skipped: 0,
        })
    }
}

impl Program {
    /// Whether it is the replay agent, which is ourselves.
    #[must_use]
    pub fn is_built_in(&self) -> bool {
        !self.leading_args.is_empty()
    }

    pub(super) fn at(path: PathBuf) -> Self {
        Self {
            path,
            leading_args: Vec::new(),
        }
    }

    /// Runs a short command, such as `models` or `status --format json`, to its end.
    ///
    /// # Errors
    /// [`AgentError::Spawn`], or [`AgentError::Failed`] if it takes longer than `limit`. What it
    /// answers is never an error here; see [`ProgramReply::error`].
    pub async fn query(
        &self,
        args: &[&str],
        env: &[(OsString, OsString)],
        cwd: &Path,
        limit: Duration,
    ) -> Result<ProgramReply, AgentError> {
        let spec = self.spec(args.iter().map(OsString::from).collect(), env.to_vec(), cwd);
        let mut process = Process::start(&spec, "".into(), &TaskTracker::new())
            .map_err(|error| spawn_error(&self.path, &error))?;
        let mut output = BytesMut::new();
        let answered = timeout(limit, async {
            while !process.is_closed() && output.len() < REPLY {
                output.reserve(16 << 10);
                process.read(&mut output).await;
            }
            process.exit().await.clone()
        });
        let exit = answered.await.map_err(|_| {
            AgentError::Failed(format!(
                "`{} {}` gave no answer within {} s",
                self.path.display(),
                args.join(" "),
                // What is left of a limit for several steps has many digits.
                (limit.as_secs_f64() * 100.0).round() / 100.0
            ))
        })?;
        let output = String::from_utf8_lossy(&output);
        Ok(ProgramReply {
            status: exit.status,
            stdout: anstream::adapter::strip_str(&output).to_string(),
            stderr: exit.stderr,
        })
    }

    /// The output of `models`.
    ///
    /// # Errors
    /// What the agent said instead.
    pub async fn models(
        &self,
        env: &[(OsString, OsString)],
        limit: Duration,
    ) -> Result<String, AgentError> {
        let reply = self.query(&["models"], env, Path::new("/"), limit).await?;
        if reply.stdout.trim().is_empty() {
            return Err(reply.error());
        }
        Ok(reply.stdout)
    }

    /// A command of the program.
    pub(super) fn spec(
        &self,
        args: Vec<OsString>,
        env: Vec<(OsString, OsString)>,
        cwd: &Path,
    ) -> SpawnSpec {
        SpawnSpec {
            program: self.path.clone(),
            args: self.leading_args.iter().cloned().chain(args).collect(),
            env,
            cwd: cwd.to_owned(),
        }
    }
}

impl fmt::Display for Program {
    /// The path and what comes before the arguments.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        for arg in &self.leading_args {
            write!(f, " {}", arg.display())?;
        }
        Ok(())
    }
}

pub(super) fn spawn_error(program: impl AsRef<OsStr>, error: &io::Error) -> AgentError {
    AgentError::Spawn {
        program: program.as_ref().display().to_string(),
        reason: error.to_string(),
    }
}
