//! A run that came to its end with changes that its client has yet to make: what it says when they
//! are made, and whether they still fit.

use std::collections::HashMap;

use xxhash_rust::xxh3::xxh3_128;

use super::{Pause, Run, RunSource};
use crate::{
    boundary::FileChange,
    engine::answer::Answer,
    turn::{Delta, Message, Part, Role},
};

/// What a run that has ended says when its changes are made.
#[derive(Debug)]
pub(super) struct LastWord {
    pub text: String,
    /// Whether it is not true any more: a change was not made, or the user said something else.
    pub is_void: bool,
}

/// What the files held that the agent changes, when it was first seen to.
#[derive(Debug, Default)]
pub(super) struct Originals(HashMap<String, Option<u128>>);

impl Originals {
    /// The first file that somebody else has changed since.
    pub fn changed(&mut self, changes: &[FileChange]) -> Option<String> {
        let changed = changes.iter().find(|change| {
            let now = change.before.as_ref().map(|text| xxh3_128(text.as_bytes()));
            let first = self.0.entry(change.path.clone()).or_insert(now);
            *first != now
        });
        changed.map(|change| change.path.clone())
    }
}

impl<S: RunSource> Run<S> {
    /// Whether the run is over and its last word is not true any more.
    pub fn is_void(&self) -> bool {
        self.last_word.as_ref().is_some_and(|word| word.is_void)
    }

    /// The changes of a run that has ended are made: says its last word.
    pub(super) fn say_last_word(&mut self, answer: &mut Answer<'_>) -> Option<Pause> {
        let word = self.last_word.take_if(|_| self.pending.is_empty())?;
        if word.is_void {
            return Some(Pause::Again(None));
        }
        answer.started();
        answer.deltas().push(Delta::Text(word.text));
        Some(match answer.take_deltas() {
            Some(reason) => Pause::Cut(reason),
            None => Pause::Finished,
        })
    }
}

/// Tells the next run that the changes were not made, because the file was changed by somebody else.
pub(super) fn changed_meanwhile(path: &str, said: String) -> [Message; 2] {
    let note = format!(
        "[open-cursor: {path} was changed by somebody else while you worked. None of your changes \
         since the last request was made. Read the files again and make the changes anew.]"
    );
    [
        Message::of(Role::Assistant, vec![Part::Text(said)]),
        Message::of(Role::User, vec![Part::Text(note)]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_somebody_else_changed_is_told() {
        let change = |path: &str, before: Option<&str>| FileChange {
            path: path.to_owned(),
            before: before.map(str::to_owned),
            after: Some("x".to_owned()),
        };
        let mut originals = Originals::default();
        let first = [change("/a", Some("1")), change("/b", None)];
        assert_eq!(originals.changed(&first), None);
        assert_eq!(originals.changed(&first), None, "nothing happened");
        let made = [change("/a", Some("1")), change("/b", Some(""))];
        assert_eq!(originals.changed(&made).as_deref(), Some("/b"));
    }
}
