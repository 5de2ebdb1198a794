//! Cursor's chats: `<chats>/<hash of the workspace's path>/<chat id>/store.db` (FACTS 1.5).
//!
//! Every run leaves one behind, so old ones are removed. Other runs may be at work there meanwhile, and
//! put a link in the place of a directory: so each is opened once, and everything is named relative to
//! what was opened.

use std::{
    ffi::CString,
    os::fd::OwnedFd,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, statat, unlinkat},
    io::Errno,
};

use super::sweep;

/// What a chat is kept in.
const STORE: &str = "store.db";

/// How long a chat may lie unused; nobody resumes one after that (`engine::sessions`).
pub(super) const AGE: Duration = Duration::from_secs(24 * 3600);

/// Removes the chats that were not used since `then`. Blocking.
pub(super) fn prune(chats: &Path, then: SystemTime) {
    let then = then.duration_since(UNIX_EPOCH);
    let (Ok(then), Ok(chats)) = (then, sweep::open(CWD, chats)) else {
        return;
    };
    for name in directories(&chats).unwrap_or_default() {
        if let Ok(workspace) = sweep::open(&chats, &*name) {
            prune_workspace(&workspace, then);
        }
        // Only if it is empty.
        let _ = unlinkat(&chats, &*name, AtFlags::REMOVEDIR);
    }
}

fn prune_workspace(workspace: &OwnedFd, then: Duration) {
    for chat in directories(workspace).unwrap_or_default() {
        let store = [chat.as_bytes(), b"/", STORE.as_bytes()].concat();
        let used = [changed(workspace, &*store), changed(workspace, &*chat)];
        if used
            .into_iter()
            .flatten()
            .max()
            .is_some_and(|used| used < then)
            && let Err(error) = sweep::remove_in(workspace, &chat)
        {
            tracing::debug!(%error, "an old chat can't be removed");
        }
    }
}

/// The names of the directories in a directory.
fn directories(directory: &OwnedFd) -> Result<Vec<CString>, Errno> {
    let entries = Dir::read_from(directory)?.filter_map(Result::ok);
    let names = entries
        // Not every file system says what an entry is; what is not a directory will not open.
        .filter(|entry| matches!(entry.file_type(), FileType::Directory | FileType::Unknown))
        .map(|entry| entry.file_name().to_owned());
    Ok(names
        .filter(|name| !matches!(name.as_bytes(), b"." | b".."))
        .collect())
}

/// When something was changed, since 1970.
fn changed(directory: &OwnedFd, name: impl rustix::path::Arg) -> Option<Duration> {
    let stat = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    Some(Duration::from_secs(u64::try_from(stat.st_mtime).ok()?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    /// A time after everything that a test makes.
    fn later() -> SystemTime {
        SystemTime::now() + AGE
    }

    #[test]
    fn a_chat_stays_until_it_is_old() {
        let root = tempfile::tempdir().unwrap();
        let chats = root.path().join("chats");
        prune(&chats, later());
        assert!(!chats.exists(), "the directory does not exist yet");
        fs::create_dir_all(chats.join("w1/empty")).unwrap();
        fs::create_dir_all(chats.join("w2/one")).unwrap();
        fs::write(chats.join("w2/one").join(STORE), "").unwrap();
        prune(&chats, SystemTime::now() - AGE);
        assert!(chats.join("w2/one").join(STORE).exists() && chats.join("w1").exists());
        prune(&chats, later());
        assert_eq!(fs::read_dir(&chats).unwrap().count(), 0);
    }

    #[test]
    fn nothing_is_removed_through_a_link() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        fs::create_dir_all(path("home/documents")).unwrap();
        fs::write(path("home/documents/letter"), "").unwrap();
        fs::create_dir_all(path("chats/w/documents")).unwrap();
        symlink(path("home"), path("chats/link")).unwrap();
        symlink(path("home/documents"), path("chats/w/link")).unwrap();
        // An agent puts a link in the place of what is looked through.
        let workspace = sweep::open(CWD, &path("chats/w")).unwrap();
        fs::rename(path("chats/w"), path("chats/moved")).unwrap();
        symlink(path("home"), path("chats/w")).unwrap();
        let then = later().duration_since(UNIX_EPOCH).unwrap();
        prune_workspace(&workspace, then);
        assert!(!path("chats/moved/documents").exists());
        prune(&path("chats"), later());
        assert!(path("home/documents/letter").exists());
    }
}
