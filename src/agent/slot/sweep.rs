//! Emptying a directory whatever the agent left in it.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Removes everything in `directory`, and makes it if it is missing. Never follows a symlink.
pub(super) fn empty(directory: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return super::private_directory(directory);
        }
        Err(_) => {
            fs::set_permissions(directory, Permissions::from_mode(0o700))?;
            fs::read_dir(directory)?
        }
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Overlayfs leaves a directory of mode 000, and an agent may leave some too.
fn remove_tree(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            unlock(directory)?;
            fs::remove_dir_all(directory)
        }
        result => result,
    }
}

fn unlock(directory: &Path) -> io::Result<()> {
    fs::set_permissions(directory, Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            unlock(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn everything_goes_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let (slot, outside) = (root.path().join("slot"), root.path().join("outside"));
        fs::create_dir_all(slot.join("a/b/locked")).unwrap();
        fs::create_dir_all(&outside).unwrap();
        fs::write(outside.join("kept"), "x").unwrap();
        fs::write(slot.join("a/b/locked/file"), "x").unwrap();
        symlink(&outside, slot.join("link")).unwrap();
        symlink(&outside, slot.join("a/link")).unwrap();
        fs::set_permissions(slot.join("a/b/locked"), Permissions::from_mode(0o000)).unwrap();
        fs::set_permissions(slot.join("a/b"), Permissions::from_mode(0o000)).unwrap();
        empty(&slot).unwrap();
        assert_eq!(fs::read_dir(&slot).unwrap().count(), 0);
        assert!(outside.join("kept").exists());
        let locked = fs::metadata(&outside).unwrap().permissions().mode() & 0o777;
        assert_ne!(locked, 0o700, "the link's target was not touched");
    }

    #[test]
    fn a_missing_directory_is_made_private() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("new");
        empty(&path).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o700
        );
    }
}
