//! A run of the agent: one prompt in, events out.

use std::{path::PathBuf, time::Duration};

use tokio::{io::AsyncReadExt, time::timeout};
use tokio_util::task::TaskTracker;

use super::{
    AgentError, AgentEvent,
    classify::{self, Ending},
    print,
    process::{Exit, Frames, Process, SpawnSpec, Tail},
    redact::redact,
};

/// How long an agent that has closed its stdout may take to exit before it is ended.
const LINGER: Duration = Duration::from_secs(1);

/// After the exit stdout can't grow unless a grandchild holds it; what the agent wrote is there.
const SILENCE: Duration = Duration::from_millis(100);

/// The most that a pipe can hold at the exit, unless root has raised the limit.
const PIPE: usize = 1 << 20;

/// What to ask the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRequest {
    /// The prompt, of any length.
    pub prompt: String,
    /// The model's id as Cursor knows it.
    pub model: String,
    /// The directory that the agent works in; absolute.
    pub workspace: PathBuf,
    /// The chat to go on with. The CLI finds it only from the workspace it was made in.
    pub resume: Option<String>,
}

/// A running agent. Dropping it ends the agent's whole process group, in the background.
#[derive(Debug)]
pub struct AgentRun {
    process: Process,
    frames: Frames,
    /// The lines on stdout that are not JSON.
    notes: Tail,
    json_seen: bool,
    output: Output,
    exit: Option<Exit>,
}

/// How far stdout was read.
#[derive(Debug, Clone, Copy)]
enum Output {
    Open,
    /// The agent has exited; so many bytes of its own may still be there.
    Left(usize),
    Closed,
}

impl AgentRun {
    /// Starts the agent and hands it the prompt. The tasks that end and reap it run on `tracker`.
    ///
    /// # Errors
    /// [`AgentError::Spawn`] if it can't be started.
    pub fn start(
        spec: &SpawnSpec,
        prompt: String,
        tracker: &TaskTracker,
    ) -> Result<Self, AgentError> {
        let process = Process::start(spec, prompt, tracker).map_err(|error| AgentError::Spawn {
            program: spec.program.display().to_string(),
            reason: error.to_string(),
        })?;
        Ok(Self {
            process,
            frames: Frames::default(),
            notes: Tail::default(),
            json_seen: false,
            output: Output::Open,
            exit: None,
        })
    }

    /// The id of the agent's process and of its group.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid
    }

    /// Whether the agent has printed any event. If not, it refused to start.
    #[must_use]
    pub fn json_seen(&self) -> bool {
        self.json_seen
    }

    /// Waits for output and appends all events in it, at least one. Safe to cancel and call again.
    /// After [`AgentEvent::Finished`] the run is to be dropped.
    ///
    /// # Errors
    /// Why there is no result, once the agent has exited or closed its stdout. All events have
    /// been delivered then.
    pub async fn next(&mut self, events: &mut Vec<AgentEvent>) -> Result<(), AgentError> {
        let before = events.len();
        while events.len() == before {
            if matches!(self.output, Output::Closed) {
                return Err(self.failure().await);
            }
            self.read().await;
            self.decode(events);
        }
        self.json_seen = true;
        Ok(())
    }

    /// One read, or the news that the agent has exited.
    async fn read(&mut self) {
        let stdout = &mut self.process.stdout;
        let read = stdout.read_buf(self.frames.space());
        let read = match self.output {
            Output::Closed => return,
            Output::Left(_) => timeout(SILENCE, read).await.unwrap_or(Ok(0)),
            Output::Open => tokio::select! {
                read = read => read,
                exit = &mut self.process.exit, if self.exit.is_none() => {
                    self.exit = Some(exit.unwrap_or_default());
                    self.output = Output::Left(PIPE);
                    return;
                }
            },
        };
        // A stdout that can't be read is as good as closed.
        let read = read.unwrap_or_default();
        self.output = match self.output {
            _ if read == 0 => Output::Closed,
            Output::Left(left) if left <= read => Output::Closed,
            Output::Left(left) => Output::Left(left - read),
            other => other,
        };
    }

    /// All lines that are there, up to the result.
    fn decode(&mut self, events: &mut Vec<AgentEvent>) {
        let mut decode = |line: &[u8]| {
            if let Some(note) = print::decode(line, events) {
                tracing::debug!(note = %redact(&note), "the agent says");
                self.notes.push(note.as_bytes());
                self.notes.push(b"\n");
            }
            matches!(events.last(), Some(AgentEvent::Finished(_)))
        };
        while let Some(line) = self.frames.next_line() {
            if decode(line) {
                return;
            }
        }
        if matches!(self.output, Output::Closed) {
            decode(&self.frames.finish());
        }
    }

    async fn failure(&mut self) -> AgentError {
        if self.exit.is_none() {
            let exit = match timeout(LINGER, &mut self.process.exit).await {
                Ok(exit) => exit,
                Err(_) => {
                    self.process.stop();
                    (&mut self.process.exit).await
                }
            };
            self.exit = Some(exit.unwrap_or_default());
        }
        let exit = self.exit.as_ref();
        classify::ending(Ending {
            status: exit.and_then(|exit| exit.status),
            notes: &self.notes.text(),
            stderr: exit.map_or("", |exit| &exit.stderr),
            skipped: self.frames.skipped(),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
