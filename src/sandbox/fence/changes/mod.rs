//! What the agent changed, read back from the upper layer of its view.
//!
//! The upper layer is the ground truth: it holds every file the agent wrote, a 0:0 character device
//! ("whiteout") for every one it deleted, and marks a directory that it made in place of another as
//! opaque. Each entry is compared with the real file, so what was only touched, or got another mode, is
//! not a change. A renamed directory is a deletion and a creation of its files. Blocking; nothing is
//! modified here.
//!
//! All of it is made by the agent, which may still be at work: no number, name or depth of what it made
//! costs more than a bounded amount, and nothing is reached through a link.

mod content;
mod ignore;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, FileType, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::launcher::Overlay;
pub use content::Content;
use content::{Reader, same};
use ignore::is_bookkeeping;

/// Directories in each other; deeper ones are not looked into. No project has so many.
const DEEPEST: usize = 128;

/// Names in upper layers that are looked at in all. More are a flood, not an edit.
const MOST_NAMES: usize = 100_000;

/// How much is read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimits {
    /// Changes in all; further ones are left out and [`Changes::complete`] is false.
    pub changes: usize,
    /// Bytes of one file; a larger one is [`Content::TooLarge`].
    pub file_bytes: u64,
    /// Bytes of text in all; beyond it every file is [`Content::TooLarge`].
    pub total_bytes: u64,
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self {
            changes: 1000,
            file_bytes: 4 << 20,
            total_bytes: 32 << 20,
        }
    }
}

/// Everything that the agent changed, in the order of the paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// One entry per path.
    pub list: Vec<Change>,
    /// False if a limit cut the list short.
    pub complete: bool,
}

/// One path that is not as it was. At least one side is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The absolute path, as the workspace names it.
    pub path: PathBuf,
    /// What is really there.
    pub before: Option<Content>,
    /// What the agent left in its view.
    pub after: Option<Content>,
}

/// Reads the changes of a view.
///
/// Fails if an upper layer itself cannot be listed; one unreadable file is [`Content::Unreadable`].
pub(super) fn read(overlays: &[Overlay], limits: &ReadLimits) -> io::Result<Changes> {
    let mut walk = Walk {
        limit: limits.changes,
        depth: 0,
        names: MOST_NAMES,
        unseen: false,
        reader: Reader::new(limits),
        changes: Changes {
            list: Vec::new(),
            complete: true,
        },
    };
    for overlay in overlays {
        let entries = walk.made(&overlay.upper)?;
        walk.entries(entries, &overlay.upper, &overlay.at, true);
    }
    walk.changes.complete &= !walk.unseen;
    Ok(walk.changes)
}

struct Walk {
    limit: usize,
    depth: usize,
    /// How many names may still be looked at.
    names: usize,
    /// Whether something in an upper layer was not looked at.
    unseen: bool,
    reader: Reader,
    changes: Changes,
}

impl Walk {
    /// Walks a directory, unless it is too deep for the stack.
    fn deeper(&mut self, walk: impl FnOnce(&mut Self)) {
        if self.depth == DEEPEST {
            self.changes.complete = false;
            return;
        }
        self.depth += 1;
        walk(self);
        self.depth -= 1;
    }

    /// The names in an upper directory, sorted: overlayfs promises no order.
    fn made(&mut self, upper: &Path) -> io::Result<BTreeSet<OsString>> {
        let mut names = BTreeSet::new();
        for entry in fs::read_dir(upper)? {
            if self.names == 0 {
                self.unseen = true;
                break;
            }
            self.names -= 1;
            names.insert(entry?.file_name());
        }
        Ok(names)
    }

    /// Compares the entries of one upper directory with the real one. `real` is false below a
    /// directory that the agent made where there was none.
    fn entries(&mut self, entries: BTreeSet<OsString>, upper: &Path, at: &Path, real: bool) {
        for name in entries {
            if !self.changes.complete {
                return;
            }
            let (upper, at) = (upper.join(&name), at.join(&name));
            if is_bookkeeping(&at) {
                continue;
            }
            let meta = match fs::symlink_metadata(&upper) {
                Ok(meta) => meta,
                Err(error) => {
                    // Gone in the meantime, or its path is too long.
                    self.unseen |= error.kind() != io::ErrorKind::NotFound;
                    continue;
                }
            };
            let before = real.then(|| fs::symlink_metadata(&at).ok()).flatten();
            if is_whiteout(&meta) {
                if let Some(before) = before {
                    self.deleted(&at, &before);
                }
            } else if meta.is_dir() {
                self.deeper(|walk| walk.directory(&upper, &at, before));
            } else {
                self.file(&upper, &at, &meta, before);
            }
        }
    }

    fn directory(&mut self, upper: &Path, at: &Path, before: Option<Metadata>) {
        let entries = self.made(upper).unwrap_or_else(|_| {
            self.unseen = true;
            BTreeSet::new()
        });
        match before {
            Some(before) if before.is_dir() => {
                // What was not looked at was not deleted.
                if is_opaque(upper) && !self.unseen {
                    for name in list(at).unwrap_or_default().difference(&entries) {
                        let at = at.join(name);
                        if let Ok(before) = fs::symlink_metadata(&at) {
                            self.deleted(&at, &before);
                        }
                    }
                }
                self.entries(entries, upper, at, true);
            }
            Some(before) => {
                let before = self.reader.content(at, &before);
                self.push(at, Some(before), Some(Content::Directory));
                self.entries(entries, upper, at, false);
            }
            None => {
                let so_far = self.changes.list.len();
                self.entries(entries, upper, at, false);
                // A directory shows in the files in it; only an empty one needs telling.
                if self.changes.list.len() == so_far && self.changes.complete {
                    self.push(at, None, Some(Content::Directory));
                }
            }
        }
    }

    fn file(&mut self, upper: &Path, at: &Path, meta: &Metadata, before: Option<Metadata>) {
        let Some(before) = before else {
            let after = self.reader.content(upper, meta);
            return self.push(at, None, Some(after));
        };
        if before.is_dir() {
            self.contents_deleted(at);
        }
        // Else it was opened for writing, or touched.
        if !same((at, &before), (upper, meta)) {
            let before = self.reader.content(at, &before);
            let after = self.reader.content(upper, meta);
            self.push(at, Some(before), Some(after));
        }
    }

    /// A deleted directory is reported file by file, and then itself.
    fn deleted(&mut self, at: &Path, before: &Metadata) {
        if is_bookkeeping(at) {
            return;
        }
        if before.is_dir() {
            self.deeper(|walk| walk.contents_deleted(at));
        }
        let content = self.reader.content(at, before);
        self.push(at, Some(content), None);
    }

    fn contents_deleted(&mut self, directory: &Path) {
        for name in list(directory).unwrap_or_default() {
            if !self.changes.complete {
                return;
            }
            let at = directory.join(name);
            if let Ok(before) = fs::symlink_metadata(&at) {
                self.deleted(&at, &before);
            }
        }
    }

    fn push(&mut self, at: &Path, before: Option<Content>, after: Option<Content>) {
        if self.changes.list.len() < self.limit {
            let path = at.to_owned();
            self.changes.list.push(Change {
                path,
                before,
                after,
            });
        } else {
            self.changes.complete = false;
        }
    }
}

/// The names in a real directory, sorted.
fn list(directory: &Path) -> io::Result<BTreeSet<OsString>> {
    fs::read_dir(directory)?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect()
}

fn is_whiteout(meta: &Metadata) -> bool {
    FileType::is_char_device(&meta.file_type()) && meta.rdev() == 0
}

fn is_opaque(directory: &Path) -> bool {
    let mut value = [0; 1];
    rustix::fs::lgetxattr(directory, "user.overlay.opaque", &mut value)
        .is_ok_and(|length| value[..length] == *b"y")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
