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
            AgentEvent::Finished(result) if !result.is_error => {
                if let Some(note) = &mut self.note {
                    note.result(&result.text);
                }
            }
            _ => {}
        }
    }

    /// Takes notice of a piece of the answer.
    pub fn delta(&mut self, delta: &Delta) {
        if let Some(note) = &mut self.note {
            note.delta(delta);
        }
    }

    /// Its id and what it holds, if that is known: the run came to its own end, and what it said is
    /// what the client got, without a cut, a call or a word of ours.
    pub fn take(&mut self) -> Option<(String, Box<Note>)> {
        let held = self.id.take().zip(self.note.take());
        held.filter(|(_, note)| note.is_whole())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        agent::{RunResult, Session},
        engine::sessions::Sessions,
        turn::Turn,
    };

    fn started(id: &str) -> AgentEvent {
        AgentEvent::Started(Session {
            id: Some(id.to_owned()),
            ..Session::default()
        })
    }

    #[test]
    fn the_run_must_say_that_it_goes_on() {
        let chat = Chat::new(Some("c1".to_owned()), None);
        assert!(chat.is_right(&[started("c1"), AgentEvent::Activity]));
        let nameless = AgentEvent::Started(Session::default());
        for wrong in [started("c2"), nameless, AgentEvent::Activity] {
            assert!(!chat.is_right(&[wrong]));
        }
        assert!(!chat.is_right(&[]));
        assert!(Chat::default().is_right(&[]), "nothing was asked for");
    }

    #[test]
    fn a_chat_is_known_if_the_client_got_what_it_holds() {
        let sessions = Sessions::new(true);
        let taken = |shown: &[&str], result: Option<(&str, bool)>| {
            let note = sessions.note(&Turn::default(), Path::new("/"), "auto");
            let mut chat = Chat::new(None, note);
            chat.event(&started("c1"));
            for text in shown {
                chat.delta(&Delta::Text((*text).to_owned()));
            }
            if let Some((text, is_error)) = result {
                chat.event(&AgentEvent::Finished(RunResult {
                    text: text.to_owned(),
                    is_error,
                    usage: None,
                }));
            }
            chat.take().map(|(id, _)| id)
        };
        let known = Some("c1".to_owned());
        assert_eq!(taken(&["One ", "two."], Some(("One two.", false))), known);
        assert_eq!(taken(&[], Some(("", false))), known);
        assert_eq!(taken(&["One two."], None), None, "it was stopped");
        assert_eq!(taken(&["One two."], Some(("One two.", true))), None);
        assert_eq!(taken(&["One"], Some(("One two.", false))), None);
        assert_eq!(
            taken(&["One two. Stopped."], Some(("One two.", false))),
            None
        );
    }
}
