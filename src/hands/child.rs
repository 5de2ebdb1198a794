//! The server's side: a fenced child for one call, its answer, and its end.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use bytes::BytesMut;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::protocol::{MOST_BYTES, SUBCOMMAND, ToolAnswer, ToolJob};
use crate::sandbox::{
    environment::{NETWORK, TOOLCHAINS, is_usual, names},
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
    /// Whether a child may use it.
    pub network: bool,
    pub reaper: TaskTracker,
}

impl Children {
    /// Has a child do the job. Dropping the future ends the child and whatever it started.
    ///
    /// # Errors
    /// Why there is no answer, for the model.
    pub async fn run(&self, job: &ToolJob, limit: Duration) -> Result<ToolAnswer, String> {
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
        let spec = self.fence.confine(spec, &writable, self.network);
        let text = serde_json::to_string(job).map_err(|error| format!("error: {error}"))?;
        // It is dropped when nothing is left of the child: then the slot goes back.
        let held = Box::new(move |_: &[u8]| {
            let _ = &slot;
        });
        let child = Process::start_tapped(&spec, text.into(), &self.reaper, Some(held));
        let mut child =
            child.map_err(|error| format!("error: the tool can't be started: {error}"))?;
        match timeout(limit, answer(&mut child)).await {
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

/// What of our environment a tool or the command of an MCP server gets: nothing that is a key, and
/// nothing that leads to a helper outside of the fence. What a server needs besides, its entry names.
#[must_use]
pub fn environment(
    all: impl IntoIterator<Item = (OsString, OsString)>,
    network: bool,
) -> Vec<(OsString, OsString)> {
    let lists: &[&str] = match network {
        true => &[TOOLCHAINS, NETWORK],
        false => &[TOOLCHAINS],
    };
    let is_passed = |name: &OsString| is_usual(name) || names(lists, name);
    let passed = all.into_iter().filter(|(name, _)| is_passed(name));
    passed.chain([("TERM".into(), "dumb".into())]).collect()
}
