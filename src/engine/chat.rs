//! Cursor's chat of one run: whether it is the one to go on with, and what it holds at the end.

use super::sessions::Note;
use crate::{agent::AgentEvent, turn::Delta};

/// The chat of a run.
#[derive(Default)]
pub(super) struct Chat {
    /// The one that the run has to go on with.
    expected: Option<String>,
    /// Its own id, once it has said it.
    id: Option<String>,
    /// What it is told and says, if that is to be known later.
    note: Option<Box<Note>>,
    whole: bool,
}

impl Chat {
    /// The chat of a run that has to go on with `expected`, if that is any.
    pub fn new(expected: Option<String>, note: Option<Box<Note>>) -> Self {
        Self {
            expected,
            note,
            ..Self::default()
        }
    }

    /// Whether the run is on the right chat, given its first events; none if it failed before them.
    /// An unknown id is no error for Cursor, but another chat.
    pub fn is_right(&self, first: &[AgentEvent]) -> bool {
        let said = match first.first() {
            Some(AgentEvent::Started(session)) => session.id.as_ref(),
            _ => None,
        };
        self.expected.is_none() || self.expected.as_ref() == said
    }

    /// Takes notice of an event.
    pub fn event(&mut self, event: &AgentEvent) {
        match event {
            AgentEvent::Started(session) => self.id.clone_from(&session.id),
            AgentEvent::Finished(result) => self.whole = !result.is_error,
            _ => {}
        }
    }

    /// Takes notice of a piece of the answer.
    pub fn delta(&mut self, delta: &Delta) {
        if let Some(note) = &mut self.note {
            note.delta(delta);
        }
    }

    /// Its id and what it holds, if the run came to its own end.
    pub fn take(&mut self) -> Option<(String, Box<Note>)> {
        let held = self.id.take().zip(self.note.take());
        held.filter(|_| self.whole)
    }
}
