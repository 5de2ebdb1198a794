//! A child in print mode: one prompt in, events out.

use bytes::Bytes;
use tokio_util::task::TaskTracker;

use super::decode::decode;
use crate::{
    agent::{
        AgentError, AgentEvent, Tap,
        classify::{self, Ending},
        program::spawn_error,
    },
    sandbox::{
        fence::launcher::Line,
        process::{Exit, Frames, Process, Start, Tail},
        redact::redact,
    },
};

/// A running child and its output. Dropping it ends its whole process group, in the background.
#[derive(Debug)]
pub struct ChildOutput {
    process: Process,
    frames: Frames,
    /// The lines on stdout that are not JSON.
    notes: Tail,
    json_seen: bool,
    tap: Option<Tap>,
}

impl ChildOutput {
    /// Starts the agent, which is to be [fed](Self::feed). The tasks that end and reap it run on `tracker`.
    /// Blocking.
    ///
    /// # Errors
    /// [`AgentError::Spawn`] if it can't be started.
    pub fn start(mut start: Start, tracker: &TaskTracker) -> Result<Self, AgentError> {
        let program = start.spec().program.clone();
        let process = Process::begin(start, tracker);
        let process = process.map_err(|error| spawn_error(program, &error))?;
        Ok(Self {
            process,
            frames: Frames::default(),
            notes: Tail::default(),
            json_seen: false,
            tap: None,
        })
    }

    /// Hands the agent its prompt.
    pub fn feed(&mut self, prompt: Bytes, tracker: &TaskTracker) {
        self.process.feed(prompt, tracker);
    }

    /// From now on, `tap` gets each line of the agent's stdout before it is read.
    pub(super) fn tap(&mut self, tap: Option<Tap>) {
        self.tap = tap;
    }

    /// The id of the agent's process and of its group.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Whether the agent has printed any event. If not, it refused to start.
    #[must_use]
    pub fn json_seen(&self) -> bool {
        self.json_seen
    }

    /// How the process ended, once [`Output::next`] has failed.
    pub async fn exit(&mut self) -> &Exit {
        self.process.exit().await
    }

    /// Ends the agent's group and waits until it is gone.
    pub async fn end(&mut self) {
        self.process.stop();
        self.process.exit().await;
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
            if self.process.is_closed() {
                return Err(self.failure().await);
            }
            self.process.read(self.frames.space()).await;
            self.decode(events);
        }
        self.json_seen = true;
        Ok(())
    }

    /// All lines that are there, up to the result.
    fn decode(&mut self, events: &mut Vec<AgentEvent>) {
        let mut take = |line: &[u8]| {
            if let Some(tap) = &self.tap {
                tap.take(line);
            }
            if let Some(note) = decode(line, events) {
                tracing::debug!(note = %redact(&note), "the agent says");
                self.notes.push(note.as_bytes());
                self.notes.push(b"\n");
            }
            matches!(events.last(), Some(AgentEvent::Finished(_)))
        };
        while let Some(line) = self.frames.next_line() {
            if take(line) {
                return;
            }
        }
        if self.process.is_closed() {
            take(&self.frames.finish());
        }
    }

    async fn failure(&mut self) -> AgentError {
        let exit = self.process.exit().await;
        let stopped = exit
            .stderr
            .lines()
            .find_map(|line| match Line::parse(line) {
                Some(Line::Stopped(message)) => Some(AgentError::Failed(message)),
                _ => None,
            });
        if let Some(stopped) = stopped {
            return stopped;
        }
        classify::ending(Ending {
            status: exit.status,
            notes: &self.notes.text(),
            stderr: &exit.stderr,
            skipped: self.frames.skipped(),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
