//! The child's side: reads one job, does it, writes what came of it.
//!
//! It runs behind the fence already, with a thread or two and nobody else to care for.

use std::{
    io::{Read, Write},
    process::ExitCode,
};

use nix::sys::resource::{Resource, setrlimit};

use super::{
    local::{self, place::Workspace},
    protocol::{ToolAnswer, ToolJob},
};

/// The longest file that a tool can write: it must not fill the disk.
const FILE_BYTES: u64 = 4 << 30;

/// Runs the executor.
pub fn main(mut stdin: impl Read, mut stdout: impl Write) -> ExitCode {
    // A limit that can't be set leaves things as they were.
    let _ = setrlimit(Resource::RLIMIT_FSIZE, FILE_BYTES, FILE_BYTES);
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let mut text = String::new();
    let job = match stdin.read_to_string(&mut text) {
        Ok(_) => serde_json::from_str::<ToolJob>(&text).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let done = match job {
        Ok(job) => execute(&job),
        Err(error) => Err(format!("error: the executor can't read its job: {error}")),
    };
    let done = done.unwrap_or_else(ToolAnswer::failed);
    match serde_json::to_writer(&mut stdout, &done).is_ok() && stdout.flush().is_ok() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn execute(job: &ToolJob) -> Result<ToolAnswer, String> {
    let tool = local::find(&job.tool);
    let tool = tool.ok_or_else(|| format!("error: there is no tool `{}`", job.tool))?;
    (tool.run)(&Workspace::new(&job.workspace), &job.arguments)
}
