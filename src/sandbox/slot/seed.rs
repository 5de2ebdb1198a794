//! The content of a slot's configuration directory: the user's own settings with our deny rules.
//!
//! It is written when a slot is given back, with the rules of its last run, so that the next run
//! finds it ready. It is written again if other rules are asked for or the user's files have
//! changed meanwhile. The user's files are only read.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::{SlotDirs, config, sweep};
use crate::sandbox::untrusted;

/// Rules that Cursor is to keep (FACTS 1.6).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rules {
    /// What may be done without asking.
    pub allow: &'static [&'static str],
    /// What is refused, whatever else says.
    pub deny: &'static [&'static str],
}

/// The user's files that it is made from, and the names of ours.
const FILES: [&str; 2] = [config::FILE, config::FLAGS];

/// The mode of these files.
const MODE: u32 = 0o600;

/// Where a run finds Cursor's chats.
const CHATS: &str = "chats";

/// What a configuration directory was made from, and what was written.
#[derive(Debug)]
pub(super) struct Seed {
    pub(super) rules: Rules,
    users: [Option<FileStamp>; 2],
    written: [Option<Vec<u8>>; 2],
}

/// The state of a file: inode, length, and time of change in seconds and nanoseconds.
type FileStamp = (u64, u64, i64, i64);

impl Seed {
    /// Empties and fills the directory unless it was made with these rules from the user's files as
    /// they are. Blocking.
    ///
    /// # Errors
    /// If the slot's directory cannot be written.
    pub(super) fn update(
        present: &mut Option<Self>,
        dirs: &SlotDirs,
        rules: Rules,
    ) -> io::Result<()> {
        // Looked at before they are read: a change meanwhile is found the next time.
        let paths = users_files(dirs);
        let users = stamps(&paths);
        if present
            .as_ref()
            .is_some_and(|seed| seed.is_from(users, rules))
        {
            return Ok(());
        }
        *present = None;
        let config = dirs.config();
        sweep::empty(&config)?;
        symlink(&dirs.chats, config.join(CHATS))?;
        let own = untrusted::read_to_string(&paths[0]).ok();
        let merged = config::merged(own.as_deref(), rules).into_bytes();
        // Feature flags that Cursor would fetch again; no part of any turn.
        let contents = [Some(merged), untrusted::read(&paths[1]).ok()];
        for (name, content) in FILES.iter().zip(&contents) {
            if let Some(content) = content {
                write_new(&config.join(name), content)?;
            }
        }
        *present = Some(Self {
            rules,
            users,
            written: contents,
        });
        Ok(())
    }

    /// Whether it would be made the same now. Blocking.
    pub(super) fn is_current(&self, dirs: &SlotDirs, rules: Rules) -> bool {
        self.is_from(stamps(&users_files(dirs)), rules)
    }

    fn is_from(&self, users: [Option<FileStamp>; 2], rules: Rules) -> bool {
        self.rules == rules && self.users == users
    }

    /// Whether the directory holds what was written and nothing else. Blocking.
    pub(super) fn is_intact(&self, dirs: &SlotDirs) -> bool {
        let config = dirs.config();
        let is_ours = |(name, written): (&&str, &Option<Vec<u8>>)| {
            let path = config.join(name);
            match written {
                Some(written) => is_in(written, &path).unwrap_or(false),
                None => fs::symlink_metadata(path).is_err(),
            }
        };
        let count = 1 + self.written.iter().flatten().count();
        fs::symlink_metadata(&config)
            .is_ok_and(|meta| meta.is_dir() && meta.mode() & 0o7777 == 0o700)
            && fs::read_dir(&config).is_ok_and(|entries| entries.count() == count)
            && fs::read_link(config.join(CHATS)).is_ok_and(|to| to == dirs.chats)
            && FILES.iter().zip(&self.written).all(is_ours)
    }
}

/// Whether the file at a path holds just that, in a file of its own: the agent may have put anything there,
/// and may have given the file another name, by which somebody could change it later. So no more is
/// read, and nothing that would have to be waited for.
fn is_in(content: &[u8], path: &Path) -> io::Result<bool> {
    let file = untrusted::open(path)?;
    let meta = file.metadata()?;
    let length = content.len() as u64;
    let is_own = meta.is_file() && meta.nlink() == 1 && meta.mode() & 0o7777 == MODE;
    if !is_own || meta.len() != length {
        return Ok(false);
    }
    let mut found = Vec::with_capacity(content.len());
    file.take(length + 1).read_to_end(&mut found)?;
    Ok(found == content)
}

fn users_files(dirs: &SlotDirs) -> [PathBuf; 2] {
    FILES.map(|name| dirs.user_config.join(name))
}

fn stamps(paths: &[PathBuf; 2]) -> [Option<FileStamp>; 2] {
    [stamp(&paths[0]), stamp(&paths[1])]
}

fn stamp(path: &Path) -> Option<FileStamp> {
    let meta = fs::metadata(path).ok()?;
    Some((meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec()))
}

/// Never writes through a symlink that a stray of the last turn may have put there.
fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.set_permissions(Permissions::from_mode(MODE))?;
    file.write_all(content)
}
