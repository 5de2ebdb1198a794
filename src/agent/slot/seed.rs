//! The content of a slot's configuration directory: the user's own settings with our deny rules.
//!
//! It is written when a slot is given back, with the rules of its last run, so that the next run
//! finds it ready. It is written again if other rules are asked for or the user's files have
//! changed meanwhile. The user's files are only read.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use super::{SlotDirs, config, sweep};

/// Rules that Cursor is to keep (FACTS 1.6).
pub type Rules = &'static [&'static str];

/// What a configuration directory was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seed {
    pub(super) rules: Rules,
    users: [Option<Stamp>; 2],
}

/// The state of a file: inode, length, and time of change in seconds and nanoseconds.
type Stamp = (u64, u64, i64, i64);

impl Seed {
    fn now(dirs: &SlotDirs, rules: Rules) -> Self {
        let users = [config::FILE, config::FLAGS].map(|name| stamp(&dirs.user_config.join(name)));
        Self { rules, users }
    }

    /// Empties and fills the directory unless it holds just that, as `present` says. Blocking.
    ///
    /// # Errors
    /// If the slot's directory cannot be written.
    pub(super) fn update(
        present: &mut Option<Self>,
        dirs: &SlotDirs,
        rules: Rules,
    ) -> io::Result<()> {
        // Looked at before they are read: a change meanwhile is found the next time.
        let seed = Self::now(dirs, rules);
        if *present == Some(seed) {
            return Ok(());
        }
        *present = None;
        let config = dirs.config();
        sweep::empty(&config)?;
        symlink(&dirs.chats, config.join("chats"))?;
        let users = fs::read_to_string(dirs.user_config.join(config::FILE)).ok();
        let merged = config::merged(users.as_deref(), rules);
        write_new(&config.join(config::FILE), merged.as_bytes())?;
        // Feature flags that Cursor would fetch again; no part of any turn.
        if let Ok(flags) = fs::read(dirs.user_config.join(config::FLAGS)) {
            write_new(&config.join(config::FLAGS), &flags)?;
        }
        *present = Some(seed);
        Ok(())
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let meta = fs::metadata(path).ok()?;
    Some((meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec()))
}

/// Never writes through a symlink that a stray of the last turn may have put there.
fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    File::create_new(path)?.write_all(content)
}
