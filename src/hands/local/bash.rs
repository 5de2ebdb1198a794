//! `bash`: a command in a shell.

use std::{
    io::{self, Read},
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::Path,
    process::{Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use serde::Deserialize;
use serde_json::json;

use super::{Local, clip::Clip, failed, place::Workspace, said};
use crate::threads::lock;

/// How long a command may take if the call does not say.
const USUAL: u64 = 120_000;

/// How long it may take at most, in milliseconds.
const MOST: u64 = 600_000;

/// How long a command that is over may take to end, and its output to arrive.
const GRACE: Duration = Duration::from_millis(300);

pub(super) const TOOL: Local = Local {
    name: "bash",
    description: "Runs a command in a shell, in the workspace, and returns what it prints on stdout \
        and stderr. It can write only below the workspace and $TMPDIR. Nothing that it leaves in the \
        background continues after the call.",
    schema: || {
        json!({
            "type": "object",
            "properties": {
                "command": {"type": "string", "description": "The command"},
                "timeout": {"type": "integer", "description":
                    "Milliseconds it may take; 120000 if missing, at most 600000"},
                "workdir": {"type": "string", "description":
                    "Directory to run it in, if not the workspace"},
                "description": {"type": "string", "description":
                    "What the command does, in a few words"},
            },
            "required": ["command"],
        })
    },
    only_reads: false,
    limit: Duration::from_millis(MOST + 10_000),
    run: |workspace, given| said(workspace, given, run),
};

#[derive(Deserialize)]
struct BashArguments {
    command: String,
    timeout: Option<f64>,
    workdir: Option<String>,
}

fn run(workspace: &Workspace, args: BashArguments) -> Result<String, String> {
    let dir = workspace.directory(args.workdir.as_deref().unwrap_or("."))?;
    let millis = args.timeout.map_or(USUAL, |millis| millis as u64);
    let limit = Duration::from_millis(millis.clamp(1, MOST));
    let (end, output) = shell(&args.command, &dir, limit).map_err(failed("bash"))?;
    let output = if output.is_empty() {
        "(no output)".to_owned()
    } else {
        output
    };
    let Some(status) = end else {
        let secs = limit.as_secs_f64();
        return Err(format!(
            "command timed out after {secs} s and was ended\n{output}"
        ));
    };
    match (status.code(), status.signal().unwrap_or_default()) {
        (Some(0), _) => Ok(output),
        (Some(code), _) => Err(format!("Exit code {code}\n{output}")),
        (None, signal) => Err(format!(
            "Exit code {} (ended by signal {signal})\n{output}",
            128 + signal
        )),
    }
}

/// The command's end, `None` if it took too long, and what it printed until then.
fn shell(command: &str, dir: &Path, limit: Duration) -> io::Result<(Option<ExitStatus>, String)> {
    let shell = ["/bin/bash", "/usr/bin/bash"];
    let shell = shell.iter().find(|path| Path::new(path).exists());
    let (output, input) = io::pipe()?;
    // The pipe's ends go with the command, else the output would never end.
    let mut child = Command::new(shell.unwrap_or(&"/bin/sh"))
        .args(["-c", command])
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(input.try_clone()?)
        .stderr(input)
        .process_group(0)
        .spawn()?;
    let group = Pid::from_raw(child.id().cast_signed());
    let clip = Arc::new(Mutex::new(Clip::default()));
    let (closed, is_closed) = mpsc::channel();
    let collected = Arc::clone(&clip);
    thread::spawn(move || {
        collect(output, &collected);
        let _ = closed.send(());
    });
    let (ended, end) = mpsc::channel();
    thread::spawn(move || {
        let _ = ended.send(child.wait());
    });
    let status = match end.recv_timeout(limit) {
        Ok(status) => Some(status?),
        Err(_) => {
            let _ = killpg(group, Signal::SIGTERM);
            let _ = end.recv_timeout(GRACE);
            let _ = killpg(group, Signal::SIGKILL);
            None
        }
    };
    // Something in the background may hold the pipe for ever.
    let _ = is_closed.recv_timeout(GRACE);
    let clip = std::mem::take(&mut *lock(&clip));
    Ok((status, clip.text()))
}

/// Reads on when there is no more room, so that the command can go on.
fn collect(mut output: io::PipeReader, clip: &Mutex<Clip>) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = output.read(&mut buffer) {
        lock(clip).push(&buffer[..read]);
    }
}
