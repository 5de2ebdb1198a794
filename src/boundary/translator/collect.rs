//! A run that works on in its view: what it changes is collected, and goes to the client before the
//! first call that may need it, or when the run ends.
//!
//! What the agent writes after a change is held back: if it is the run's last word, the client gets it
//! when the changes are made.

use std::{collections::HashSet, ops::ControlFlow::Break, path::Path};

use super::{Flow, Translator};
use crate::{
    boundary::{
        Source, Verdict,
        batch::{Batch, Ready},
        change::FileChange,
    },
    turn::Delta,
};

/// What a run has changed, and said since.
#[derive(Debug)]
pub(super) struct CollectedChanges {
    pub changes: Batch,
    /// The files that the view has told of.
    viewed: HashSet<String>,
    /// Whether the view was looked at since the last event.
    pub is_current: bool,
    text: String,
}

impl CollectedChanges {
    pub fn new(workspace: &Path) -> Self {
        Self {
            changes: Batch::new(workspace),
            viewed: HashSet::new(),
            is_current: false,
            text: String::new(),
        }
    }

    /// Takes all that the view differs in. A file that does not differ any more is not changed.
    pub fn look(&mut self, changes: Vec<FileChange>, is_open: impl Fn(&str) -> bool) {
        let now: HashSet<&str> = changes.iter().map(|change| change.path.as_str()).collect();
        for path in self.viewed.drain() {
            if !now.contains(path.as_str()) {
                self.changes.forget_change(&path);
            }
        }
        self.viewed = now.into_iter().map(str::to_owned).collect();
        for change in changes {
            self.changes.set_change(change, &is_open);
        }
        self.is_current = true;
    }
}

impl Translator {
    /// The calls that an edit belongs to.
    pub(super) fn edits(&mut self) -> &mut Batch {
        match &mut self.collected {
            Some(collected) => &mut collected.changes,
            None => &mut self.batch,
        }
    }

    /// Whether changes are about to go out that the view has to tell once more.
    pub(super) fn is_outdated(&self) -> bool {
        let collected = self.collected.as_ref();
        collected.is_some_and(|it| it.changes.is_ready() && !it.is_current)
    }

    /// Gives text its place: after what has been said, or back until it is known whether it is the
    /// last.
    pub(super) fn say(&mut self, text: String, out: &mut Vec<Delta>) {
        self.spoke |= !text.is_empty();
        match &mut self.collected {
            Some(collected) if !collected.changes.is_empty() => collected.text.push_str(&text),
            _ if text.is_empty() => {}
            _ => out.push(Delta::Text(text)),
        }
    }

    /// The text that was held back is not the last.
    pub(super) fn release_text(&mut self, out: &mut Vec<Delta>) {
        if let Some(collected) = &mut self.collected
            && !collected.text.is_empty()
        {
            out.push(Delta::Text(std::mem::take(&mut collected.text)));
        }
    }

    /// Takes what is collected.
    pub(super) fn take_changes(&mut self) -> Vec<Ready> {
        let collected = self.collected.as_mut().map(|it| it.changes.take());
        collected.unwrap_or_default()
    }

    /// The run stops in the middle: its changes go out, though no call needs them.
    pub(super) fn close_changes(&mut self, out: &mut Vec<Delta>) -> Flow {
        let changes = self.take_changes();
        let step = self.emit(changes, Source::Native, out);
        self.release_text(out);
        step
    }

    /// The run ended by itself: its changes go out, and its last word waits for their results.
    pub(super) fn hand_over(&mut self, out: &mut Vec<Delta>) -> Flow {
        let changes = self.take_changes();
        let step = self.emit(changes, Source::Change, out);
        if let Break(Verdict::Calls(_)) = step {
            self.stopped = true;
            let collected = self.collected.as_mut();
            self.last_word = collected.map(|it| std::mem::take(&mut it.text));
            return step;
        }
        self.release_text(out);
        step?;
        self.stop()
    }

    /// The files whose collected changes the client has not got.
    pub fn unsent_changes(&self) -> impl Iterator<Item = &str> {
        let collected = self.collected.iter();
        collected.flat_map(|it| it.changes.changed_files())
    }

    /// What the client is to read when the changes of a run that ended by itself are made; `None` if
    /// it did not end so.
    pub fn last_word(&mut self) -> Option<String> {
        self.last_word.take()
    }
}
