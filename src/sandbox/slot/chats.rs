//! Cursor's chats: `<chats>/<hash of the workspace's path>/<chat id>/store.db` (FACTS 1.5).
//!
//! Every run leaves one behind, so old ones are removed.

use std::{
    fs,
    path::{Component, Path},
    time::{Duration, SystemTime},
};

use super::sweep;

/// What a chat is kept in.
const STORE: &str = "store.db";

/// How long a chat may lie unused; nobody resumes one after that (`engine::sessions`).
pub(super) const AGE: Duration = Duration::from_secs(24 * 3600);

/// Whether there is a chat of this id, of any workspace. Blocking.
pub(super) fn has(chats: &Path, id: &str) -> bool {
    let mut parts = Path::new(id).components();
    let is_plain = matches!(
        (parts.next(), parts.next()),
        (Some(Component::Normal(_)), None)
    );
    is_plain && children(chats).any(|workspace| workspace.join(id).join(STORE).is_file())
}

/// Removes the chats that were not used since `then`. Blocking.
pub(super) fn prune(chats: &Path, then: SystemTime) {
    for workspace in children(chats) {
        for chat in children(&workspace) {
            let used = [chat.join(STORE), chat.clone()].map(|path| changed(&path));
            if used
                .into_iter()
                .flatten()
                .max()
                .is_some_and(|used| used < then)
                && let Err(error) = sweep::remove(&chat)
            {
                tracing::debug!(%error, "an old chat can't be removed");
            }
        }
        // Only if it is empty.
        let _ = fs::remove_dir(&workspace);
    }
}

/// The directories in a directory.
fn children(directory: &Path) -> impl Iterator<Item = std::path::PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    directories.map(|entry| entry.path())
}

fn changed(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn a_chat_is_found_by_its_id_until_it_is_old() {
        let root = tempfile::tempdir().unwrap();
        let chats = root.path().join("chats");
        assert!(!has(&chats, "one"), "there is no directory yet");
        fs::create_dir_all(chats.join("w1/empty")).unwrap();
        fs::create_dir_all(chats.join("w2/one")).unwrap();
        fs::write(chats.join("w2/one").join(STORE), "").unwrap();
        assert!(has(&chats, "one") && !has(&chats, "empty") && !has(&chats, "two"));
        for id in ["", ".", "..", "../w2/one", "w2/one", "/"] {
            assert!(!has(&chats, id), "{id}");
        }
        prune(&chats, SystemTime::now() - AGE);
        assert!(has(&chats, "one") && chats.join("w1").exists());
        prune(&chats, SystemTime::now() + AGE);
        assert_eq!(fs::read_dir(&chats).unwrap().count(), 0);
    }
}
