//! What to run, and the running of it.

use std::{ffi::OsString, path::PathBuf, process::Stdio};

use tokio::process::Command;

/// A command, complete and without hidden inputs: a pure function can rewrite it to run inside
/// something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpawnSpec {
    /// An absolute path. With a bare name and a changed environment the standard library falls
    /// back from `posix_spawn` to `fork`, which costs 27 ms in a process of 1.5 GB.
    pub program: PathBuf,
    /// The arguments after the program's name.
    pub args: Vec<OsString>,
    /// The whole environment.
    pub env: Vec<(OsString, OsString)>,
    /// The working directory.
    pub cwd: PathBuf,
}

impl SpawnSpec {
    /// The leader of a new process group, all its streams piped.
    pub(in crate::sandbox) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.cwd)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}
