//! Where a run's events come from: an agent, or a test's script.

use std::future::Future;

use super::losses::LossReason;
use crate::{
    agent::{AgentError, AgentEvent, AgentRun, CallKey, Siblings, ViewChange},
    boundary::FileChange,
    turn::{Attachment, ToolResult},
};

/// See [`AgentRun`], whose methods these are.
pub(super) trait RunSource: Send {
    fn next(
        &mut self,
        events: &mut Vec<AgentEvent>,
    ) -> impl Future<Output = Result<(), AgentError>> + Send;

    fn reply(&mut self, key: CallKey, result: &ToolResult, files: &[Attachment]);

    fn can_wait(&self) -> bool;

    fn end(&mut self);

    fn siblings(&self) -> Siblings;

    fn place(&self, key: CallKey) -> Option<usize>;

    fn has_view(&self) -> bool;

    fn kind(&self) -> &'static str;

    fn pid(&self) -> Option<u32>;

    /// What the agent has changed in its view up to now, and which changes no call can carry.
    fn changes(&self) -> impl Future<Output = (Vec<FileChange>, Vec<(String, LossReason)>)> + Send;
}

impl RunSource for AgentRun {
    async fn next(&mut self, events: &mut Vec<AgentEvent>) -> Result<(), AgentError> {
        Self::next(self, events).await
    }

    fn reply(&mut self, key: CallKey, result: &ToolResult, files: &[Attachment]) {
        Self::reply(self, key, result, files);
    }

    fn can_wait(&self) -> bool {
        Self::can_wait(self)
    }

    fn end(&mut self) {
        Self::end(self);
    }

    fn siblings(&self) -> Siblings {
        Self::siblings(self)
    }

    fn place(&self, key: CallKey) -> Option<usize> {
        Self::place(self, key)
    }

    fn has_view(&self) -> bool {
        Self::has_view(self)
    }

    fn kind(&self) -> &'static str {
        Self::kind(self)
    }

    fn pid(&self) -> Option<u32> {
        Self::pid(self)
    }

    async fn changes(&self) -> (Vec<FileChange>, Vec<(String, LossReason)>) {
        let (mut changes, mut lost) = (Vec::new(), Vec::new());
        for change in Self::changes(self).await {
            match change {
                ViewChange::Text {
                    path,
                    before,
                    after,
                } => changes.push(FileChange {
                    path,
                    before,
                    after,
                }),
                ViewChange::Opaque { path } => lost.push((path, LossReason::Content)),
                ViewChange::Unread { directory } => lost.push((directory, LossReason::Unread)),
            }
        }
        (changes, lost)
    }
}
