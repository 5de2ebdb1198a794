//! The calls of one model request, until they go to the client together.

use std::path::{Path, PathBuf};

use super::Source;
use super::catalog::ClientCall;
use super::change::FileChange;

/// One call of the batch, in the order of announcement.
#[derive(Debug, Clone, PartialEq)]
enum Item {
    /// A call, where it comes from, and the agent's own edit that it stands for: its call id and
    /// file.
    Call(Source, ClientCall, Option<(String, String)>),
    /// A native edit, by its call id, whose exact change is not known yet.
    Awaiting(String),
    Change(FileChange),
}

/// What is ready to go to the client.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Ready {
    Call(Source, ClientCall),
    Change(FileChange),
}

/// Calls announced together.
#[derive(Debug)]
pub(super) struct Batch {
    /// What relative paths mean.
    workspace: PathBuf,
    items: Vec<Item>,
    /// The model request that made them, where the agent says so. Calls from text don't set it.
    request: Option<Option<String>>,
    /// Whether something came between that calls without a request id don't reach across.
    broken: bool,
}

impl Batch {
    pub(super) fn new(workspace: &Path) -> Self {
        Self {
            workspace: workspace.to_path_buf(),
            items: Vec::new(),
            request: None,
            broken: false,
        }
    }

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

    /// Adds a call. `edit` is the call id and the file of what the agent edits itself meanwhile.
    pub(super) fn push(
        &mut self,
        source: Source,
        made: ClientCall,
        edit: Option<(String, String)>,
    ) {
        if matches!(source, Source::Held(_)) {
            // More may be on their way, whatever the batch holds.
            self.request.get_or_insert(None);
        }
        self.items.push(Item::Call(source, made, edit));
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
        if let Some(at) = place {
            self.items.remove(at);
        }
        if let Some(change) = change {
            self.merge(place.unwrap_or(self.items.len()), change);
        }
    }

    /// The ground truth about a file, which replaces what events said of it. A call of which
    /// `is_open` says that the agent is still at it may change the file once more.
    pub(super) fn set_change(&mut self, change: FileChange, is_open: impl Fn(&str) -> bool) {
        self.request.get_or_insert(None);
        let mut place = None;
        let mut items = Vec::with_capacity(self.items.len() + 1);
        for item in self.items.drain(..) {
            let file = match &item {
                Item::Call(_, _, edit) => edit.as_ref().map(|(_, file)| file.as_str()),
                Item::Change(known) => Some(known.path.as_str()),
                Item::Awaiting(_) => None,
            };
            if !file.is_some_and(|file| is_same(&self.workspace, file, &change.path)) {
                items.push(item);
                continue;
            }
            place.get_or_insert(items.len());
            if let Item::Call(_, _, Some((id, _))) = item
                && is_open(&id)
            {
                items.push(Item::Awaiting(id));
            }
        }
        let place = place.unwrap_or(items.len());
        items.insert(place, Item::Change(change));
        self.items = items;
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
        let workspace = &self.workspace;
        self.items.iter_mut().find_map(|item| match item {
            Item::Change(known) if is_same(workspace, &known.path, path) => Some(known),
            _ => None,
        })
    }

    /// The files of the changes.
    pub(super) fn changed_files(&self) -> impl Iterator<Item = &str> {
        self.items.iter().filter_map(|item| match item {
            Item::Change(change) => Some(change.path.as_str()),
            Item::Call(..) | Item::Awaiting(_) => None,
        })
    }

    /// A file is what it was.
    pub(super) fn forget_change(&mut self, path: &str) {
        let workspace = &self.workspace;
        self.items.retain(
            |item| !matches!(item, Item::Change(known) if is_same(workspace, &known.path, path)),
        );
    }

    /// Whether it holds nothing, not even the place of an edit.
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
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
    pub(super) fn is_waiting(&self) -> bool {
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
                Item::Call(source, made, _) => Some(Ready::Call(source, made)),
                Item::Change(change) => Some(Ready::Change(change)),
                Item::Awaiting(_) => None,
            })
            .collect()
    }
}

/// Whether two paths name one file, as far as their text tells.
fn is_same(workspace: &Path, a: &str, b: &str) -> bool {
    let whole = |path| -> PathBuf { workspace.join(path).components().collect() };
    whole(a) == whole(b)
}
