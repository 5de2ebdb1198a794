//! One side of a change: what a path holds, read within limits.

use std::fs::Metadata;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::ReadLimits;
use crate::sandbox::untrusted::open;

/// Two files of the same length above this are called different without looking.
const COMPARED_BYTES: u64 = 1 << 30;

/// What a path holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A file of UTF-8 text, whole.
    Text(String),
    /// A file that is not text.
    Binary {
        /// Its length in bytes.
        bytes: u64,
    },
    /// A file beyond the limits.
    TooLarge {
        /// Its length in bytes.
        bytes: u64,
    },
    /// A file that we may not read.
    Unreadable,
    /// A symbolic link and where it points.
    Symlink(PathBuf),
    /// A directory.
    Directory,
    /// A device, socket or pipe.
    Special,
}

/// Reads until the budget is spent.
pub(super) struct Reader {
    file_bytes: u64,
    left: u64,
}

impl Reader {
    pub(super) fn new(limits: &ReadLimits) -> Self {
        Self {
            file_bytes: limits.file_bytes,
            left: limits.total_bytes,
        }
    }

    pub(super) fn content(&mut self, path: &Path, meta: &Metadata) -> Content {
        if meta.is_dir() {
            Content::Directory
        } else if meta.is_symlink() {
            std::fs::read_link(path).map_or(Content::Unreadable, Content::Symlink)
        } else if meta.is_file() {
            self.file(path).unwrap_or(Content::Unreadable)
        } else {
            Content::Special
        }
    }

    fn file(&mut self, path: &Path) -> io::Result<Content> {
        let file = open(path)?;
        let bytes = file.metadata()?.len();
        let limit = self.file_bytes.min(self.left);
        if bytes > limit {
            return Ok(Content::TooLarge { bytes });
        }
        let mut content = Vec::with_capacity(usize::try_from(bytes).unwrap_or(0));
        // One byte more than allowed tells a file that is still growing.
        file.take(limit + 1).read_to_end(&mut content)?;
        let bytes = content.len() as u64;
        if bytes > limit {
            return Ok(Content::TooLarge { bytes });
        }
        if content.contains(&0) {
            return Ok(Content::Binary { bytes });
        }
        Ok(match String::from_utf8(content) {
            Ok(text) => {
                self.left -= bytes;
                Content::Text(text)
            }
            Err(_) => Content::Binary { bytes },
        })
    }
}

/// Whether two paths hold the same, whatever their size.
pub(super) fn same(a: (&Path, &Metadata), b: (&Path, &Metadata)) -> bool {
    let kinds = (a.1.file_type(), b.1.file_type());
    if kinds.0 != kinds.1 {
        return false;
    }
    if kinds.0.is_symlink() {
        return matches!((std::fs::read_link(a.0), std::fs::read_link(b.0)), (Ok(a), Ok(b)) if a == b);
    }
    if !kinds.0.is_file() {
        return a.1.rdev() == b.1.rdev();
    }
    a.1.len() == b.1.len() && a.1.len() <= COMPARED_BYTES && same_bytes(a.0, b.0).unwrap_or(false)
}

fn same_bytes(a: &Path, b: &Path) -> io::Result<bool> {
    let opened = |path: &Path| open(path).map(|file| BufReader::with_capacity(1 << 16, file));
    let (mut a, mut b) = (opened(a)?, opened(b)?);
    loop {
        let (left, right) = (a.fill_buf()?, b.fill_buf()?);
        let both = left.len().min(right.len());
        if left[..both] != right[..both] {
            return Ok(false);
        }
        if both == 0 {
            return Ok(left.is_empty() && right.is_empty());
        }
        a.consume(both);
        b.consume(both);
    }
}
