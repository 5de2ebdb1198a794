//! What a child is started with, and its start.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::atomic::Ordering,
};

use super::{PrintAgent, output::ChildOutput, served};
use crate::{
    agent::{AgentError, Tap, agent::refused},
    sandbox::{
        fence::Enclosure,
        slot::{Rules, SlotDirs},
    },
    turn::CallerKey,
};

/// What the child is started with, apart from its prompt.
#[derive(Debug, Clone)]
pub(super) struct Command {
    pub model: String,
    pub workspace: PathBuf,
    pub served: bool,
    pub tap: Option<Tap>,
    pub key: Option<CallerKey>,
}

impl Command {
    /// Makes the slot ready for the child. Blocking.
    pub fn prepare(&self, agent: &PrintAgent, slot: &SlotDirs) -> Result<Enclosure, AgentError> {
        let enclosure = agent
            .fence
            .prepare_with(slot, &self.workspace, self.rules());
        let enclosure = enclosure.map_err(refused)?;
        // It was without symlinks when it was allowed.
        if enclosure.workspace() != self.workspace {
            return Err(AgentError::Refused(format!(
                "the workspace {} was replaced by a symlink while the run was prepared",
                self.workspace.display()
            )));
        }
        if let Some(warning) = enclosure.warning() {
            tracing::warn!("{warning}");
        }
        Ok(enclosure)
    }

    /// The rules of a child that is served the client's tools.
    pub fn rules(&self) -> Option<Rules> {
        self.served.then_some(served::RULES)
    }

    /// Starts the child in a slot that is ready. It has no prompt yet. Blocking, unless a launcher waits.
    pub fn start(
        &self,
        agent: &PrintAgent,
        slot: &SlotDirs,
        enclosure: &mut Enclosure,
    ) -> Result<ChildOutput, AgentError> {
        let workspace = &self.workspace;
        let mut env = agent.env_for(self.key.as_ref());
        let mut extra = Vec::new();
        if self.served {
            served::environment(&mut env, &slot.tmp());
            extra.push("--approve-mcps");
            if agent.carrier.takes_allowed_tools() {
                let reads = agent.serving.native_reads;
                extra.extend(["--allowed-tools", served::allowed_tools(reads)]);
            }
        }
        let args = args(&self.model, workspace, &extra);
        let spec = agent.program.spec(args, env, workspace);
        let mut start = enclosure.start(spec);
        if agent.shares_config.load(Ordering::Relaxed) {
            let users = agent.env.iter().find(|(n, _)| n == "CURSOR_CONFIG_DIR");
            let env = &mut start.spec().env;
            env.retain(|(name, _)| name != "CURSOR_CONFIG_DIR");
            env.extend(users.cloned());
        }
        let mut output = ChildOutput::start(start, &agent.reaper)?;
        output.tap(self.tap.clone());
        Ok(output)
    }
}

/// The arguments for one turn (FACTS 1.2). The prompt is not among them: it goes by stdin, since
/// one argument holds no more than 128 KiB on Linux.
///
/// `--model` is always given, as the CLI would else use and rewrite the user's default; `--trust`
/// only answers the question whether this directory may be read. `--force` is never given.
fn args(model: &str, workspace: &Path, extra: &[&str]) -> Vec<OsString> {
    let mut args: Vec<OsString> = [
        "--print",
        "--output-format",
        "stream-json",
        "--stream-partial-output",
        "--trust",
        "--model",
        model,
        "--workspace",
    ]
    .map(OsString::from)
    .into();
    args.push(workspace.into());
    args.extend(extra.iter().map(OsString::from));
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_always_given() {
        assert_eq!(
            args("auto", Path::new("/w s"), &["--approve-mcps"]),
            [
                "--print",
                "--output-format",
                "stream-json",
                "--stream-partial-output",
                "--trust",
                "--model",
                "auto",
                "--workspace",
                "/w s",
                "--approve-mcps"
            ]
        );
    }
}
