//! The server's side: a fenced child for one call, its answer, and its end.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use bytes::BytesMut;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::protocol::{MOST_BYTES, SUBCOMMAND, ToolAnswer, ToolJob};
use crate::sandbox::{
    fence::Fence,
    process::{Process, SpawnSpec},
    slot::Slots,
};

/// Starts children. Each has a slot of its own, whose TMPDIR is emptied after it.
#[derive(Debug)]
pub(super) struct Children {
    pub fence: Fence,
    pub slots: Slots,
    /// Our own program.
    pub program: PathBuf,
    pub env: Vec<(OsString, OsString)>,
    pub reaper: TaskTracker,
}

impl Children {
    /// Has a child do the job. Dropping the future ends the child and whatever it started.
    ///
    /// # Errors
    /// Why there is no answer, for the model.
    pub async fn run(
        &self,
        job: &ToolJob,
        network: bool,
        limit: Duration,
    ) -> Result<ToolAnswer, String> {
        let slot = self.slots.acquire().await;
        let slot = slot.map_err(|error| format!("error: the tool has no place to run: {error}"))?;
        let tmp = slot.dirs().tmp();
        let mut env = self.env.clone();
        env.push(("TMPDIR".into(), tmp.clone().into()));
        env.push(("XDG_CACHE_HOME".into(), tmp.join("cache").into()));
        let spec = SpawnSpec {
            program: self.program.clone(),
            args: vec![SUBCOMMAND.into()],
            env,
            cwd: job.workspace.clone(),
        };
        let writable = [job.workspace.clone(), tmp];
        let spec = self.fence.confine(spec, &writable, network);
        let text = serde_json::to_string(job).map_err(|error| format!("error: {error}"))?;
        let child = Process::start(&spec, text.into(), &self.reaper);
        let child = child.map_err(|error| format!("error: the tool can't be started: {error}"))?;
        let mut guard = Guard {
            inside: Some((child, slot)),
            reaper: self.reaper.clone(),
        };
        let Some((child, _)) = &mut guard.inside else {
            return Err("error: the tool was given up".to_owned());
        };
        match timeout(limit, answer(child)).await {
            Ok(done) => done,
            Err(_) => Err(format!(
                "error: command timed out: the tool took longer than {} s and was ended",
                limit.as_secs()
            )),
        }
    }
}

/// Reads the child's answer.
async fn answer(child: &mut Process) -> Result<ToolAnswer, String> {
    let mut output = BytesMut::new();
    while !child.is_closed() {
        output.reserve(64 << 10);
        child.read(&mut output).await;
        if output.len() > MOST_BYTES {
            return Err("error: the tool's answer is too long".to_owned());
        }
    }
    if let Ok(done) = serde_json::from_slice(&output) {
        return Ok(done);
    }
    let exit = child.exit().await;
    let how = exit
        .status
        .map_or_else(|| "it was stopped".to_owned(), |status| status.to_string());
    let why = exit.stderr.lines().last().unwrap_or_default();
    tracing::warn!(how, why, "an executor ended without an answer");
    Err(format!(
        "error: the tool's process ended without an answer ({how}): {why}"
    ))
}

/// Ends the child, and returns the slot once nothing of it is left.
struct Guard {
    inside: Option<(Process, crate::sandbox::slot::Slot)>,
    reaper: TaskTracker,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some((mut child, slot)) = self.inside.take() {
            self.reaper.spawn(async move {
                child.stop();
                child.exit().await;
                drop(slot);
            });
        }
    }
}

/// What of our environment the command of an MCP server gets: nothing that is a key. What it needs
/// besides, its entry names.
#[must_use]
pub fn command_environment(
    all: impl IntoIterator<Item = (OsString, OsString)>,
) -> Vec<(OsString, OsString)> {
    environment(all, true)
}

/// What of the server's environment a tool gets: nothing that is a key, and nothing that leads to a
/// helper outside of the fence.
pub(super) fn environment(
    all: impl IntoIterator<Item = (OsString, OsString)>,
    network: bool,
) -> Vec<(OsString, OsString)> {
    const PASSED: &[&str] = &[
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "PATH",
        "LANG",
        "LANGUAGE",
        "TZ",
        // Where toolchains are.
        "CARGO_HOME",
        "RUSTUP_HOME",
        "RUSTUP_TOOLCHAIN",
        "GOPATH",
        "GOROOT",
        "JAVA_HOME",
        "VIRTUAL_ENV",
        "PYENV_ROOT",
        "NVM_DIR",
        "ANDROID_HOME",
        "DOTNET_ROOT",
    ];
    const FOR_NETWORK: &[&str] = &[
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "no_proxy",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "NODE_EXTRA_CA_CERTS",
    ];
    let is_passed = |name: &OsString| {
        let name = name.to_str().unwrap_or_default();
        PASSED.contains(&name)
            || name.starts_with("LC_")
            || (network && FOR_NETWORK.contains(&name))
    };
    let passed = all.into_iter().filter(|(name, _)| is_passed(name));
    passed.chain([("TERM".into(), "dumb".into())]).collect()
}
