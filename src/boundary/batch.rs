//! The calls of one model request, until they go to the client together.

use super::catalog::Made;
use super::change::{self, FileChange};

/// One call of the batch, in the order of announcement.
#[derive(Debug, Clone, PartialEq)]
enum Item {
    /// A call, and what tells it from others.
    Call(String, Made),
    /// A native edit, by its call id, whose exact change is not known yet.
    Awaiting(String),
    Change(FileChange),
}

/// What is ready to go to the client.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Ready {
    Call(String, Made),
    Change(FileChange),
}

/// Calls announced together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    items: Vec<Item>,
    /// The model request that made them, where the agent says so. Calls from text don't set it.
    request: Option<Option<String>>,
    /// Whether something came between that calls without a request id don't reach across.
    broken: bool,
}

impl Batch {
    /// Whether a call of this model request belongs to the batch. An empty batch takes any.
    pub(super) fn admits(&mut self, request: Option<&str>) -> bool {
        if self.items.is_empty() {
            self.request = None;
        }
        match &self.request {
            None => {
                self.request = Some(request.map(str::to_owned));
                self.broken = false;
                true
            }
            Some(Some(ours)) => Some(ours.as_str()) == request,
            Some(None) => request.is_none() && !self.broken,
        }
    }

    /// Something that only calls with a request id reach across.
    pub(super) fn break_off(&mut self) {
        self.broken = true;
    }

    pub(super) fn push(&mut self, origin: &str, made: Made) {
        self.items.push(Item::Call(origin.to_owned(), made));
    }

    /// Keeps the place of an edit until its change is known.
    pub(super) fn await_change(&mut self, call_id: &str) {
        self.items.push(Item::Awaiting(call_id.to_owned()));
    }

    /// An edit is over: with its change, or without one.
    pub(super) fn complete(&mut self, call_id: &str, change: Option<FileChange>) {
        let place = self
            .items
            .iter()
            .position(|item| matches!(item, Item::Awaiting(id) if id == call_id));
        match (place, change) {
            (Some(at), Some(change)) => {
                self.items.remove(at);
                self.merge(at, change);
            }
            (Some(at), None) => {
                self.items.remove(at);
            }
            (None, Some(change)) => self.merge(self.items.len(), change),
            (None, None) => {}
        }
    }

    /// The ground truth about a file, which replaces what events said of it.
    pub(super) fn set_change(&mut self, change: FileChange) {
        match self.change_of(&change.path) {
            Some(known) => *known = change,
            None => {
                self.request.get_or_insert(None);
                self.items.push(Item::Change(change));
            }
        }
    }

    /// Several changes of a file are one: from before the first to after the last. Completions
    /// may come out of order, which their texts tell.
    fn merge(&mut self, at: usize, change: FileChange) {
        match self.change_of(&change.path) {
            Some(known) if change.after.is_some() && known.before == change.after => {
                known.before = change.before;
            }
            Some(known) => known.after = change.after,
            None => self.items.insert(at, Item::Change(change)),
        }
    }

    fn change_of(&mut self, path: &str) -> Option<&mut FileChange> {
        self.items.iter_mut().find_map(|item| match item {
            Item::Change(known) if change::same_file(&known.path, path) => Some(known),
            _ => None,
        })
    }

    /// Whether there is anything to send.
    pub(super) fn is_ready(&self) -> bool {
        self.items
            .iter()
            .any(|item| !matches!(item, Item::Awaiting(_)))
    }

    /// Whether native calls are ready that only wait for their siblings' announcements.
    pub(super) fn is_settling(&self) -> bool {
        self.is_ready() && !self.is_waiting() && self.request.is_some()
    }

    /// Whether an edit of the batch is still being made.
    fn is_waiting(&self) -> bool {
        self.items
            .iter()
            .any(|item| matches!(item, Item::Awaiting(_)))
    }

    /// Whether this very edit is still being made.
    pub(super) fn is_waiting_for(&self, call_id: &str) -> bool {
        self.items
            .iter()
            .any(|item| matches!(item, Item::Awaiting(id) if id == call_id))
    }

    /// Takes what is ready, in order, and begins anew.
    pub(super) fn take(&mut self) -> Vec<Ready> {
        self.request = None;
        self.broken = false;
        self.items
            .drain(..)
            .filter_map(|item| match item {
                Item::Call(origin, made) => Some(Ready::Call(origin, made)),
                Item::Change(change) => Some(Ready::Change(change)),
                Item::Awaiting(_) => None,
            })
            .collect()
    }
}
