//! What the engine asks and tells the machine between events.

use std::path::PathBuf;

use super::Translator;
use crate::agent::AgentEvent;
use crate::boundary::OpenTool;
use crate::boundary::change::FileChange;

impl Translator {
    /// Says that the agent has no view of its own: what it edits, it edits for real. An edit whose
    /// exact call is not known when it is announced is then no call of the client's any more.
    pub fn without_view(&mut self) {
        self.decider.without_view();
    }

    /// The file about which the engine should look, before it feeds the event, whether it exists:
    /// this module can't. If it does not, it says so to [`Translator::is_absent`].
    #[must_use]
    pub fn asks_about(&self, event: &AgentEvent) -> Option<PathBuf> {
        match event {
            AgentEvent::ToolStarted(call) | AgentEvent::ToolCompleted(call) => {
                self.decider.asks_about(call)
            }
            _ => None,
        }
    }

    /// Notes a directory whose files came with the request: the client does not know them, so the
    /// agent reads them itself.
    pub fn reads_itself(&mut self, dir: PathBuf) {
        self.decider.reads_itself(dir);
    }

    /// Notes that a file does not exist.
    pub fn is_absent(&mut self, file: PathBuf) {
        self.decider.is_absent(file);
    }

    /// Whether the engine should look into the agent's view before it goes on.
    #[must_use]
    pub fn changes_due(&self) -> bool {
        self.changes_due && !self.ended
    }

    /// Takes file changes that the agent's view reports. They are the ground truth: what events
    /// said of the same files gives way.
    pub fn on_changes(&mut self, changes: Vec<FileChange>) {
        self.changes_due = false;
        for change in changes {
            self.batch.set_change(change, |id| self.open.has(id));
        }
    }

    /// How many calls the model wrote into its text, so far.
    #[must_use]
    pub fn recovered(&self) -> u64 {
        self.recovered
    }

    /// The native tool that is being executed; of several the one with the longest limit.
    #[must_use]
    pub fn open_tool(&self) -> Option<OpenTool> {
        self.open.longest()
    }
}
