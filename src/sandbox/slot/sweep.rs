//! Emptying directories whatever the agent left in them.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
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
    entries
        .into_iter()
        .try_for_each(|entry| remove(&entry?.path()))
}

/// Removes everything in `directory` but these.
pub(super) fn all_but(directory: &Path, kept: &[&Path]) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if !kept.contains(&path.as_path()) {
            remove(&path)?;
        }
    }
    Ok(())
}

/// Makes an empty directory that only we can enter of whatever there is at `path`. One that is such
/// a directory stays: most runs leave nothing behind.
pub(super) fn renew(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() && meta.mode() & 0o7777 == 0o700 => {}
        Ok(_) => remove(path)?,
        Err(_) => {}
    }
    super::private_directory(path)?;
    empty(path)
}

/// Removes a file or a whole directory.
fn remove(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() {
        remove_tree(path)
    } else {
        fs::remove_file(path)
    }
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
    fn whatever_there_is_becomes_an_empty_directory() {
        let root = tempfile::tempdir().unwrap();
        let outside = root.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("kept"), "x").unwrap();
        let made: [fn(&Path, &Path); 6] = [
            |_, _| {},
            |path, _| fs::write(path, "a file").unwrap(),
            |path, outside| symlink(outside, path).unwrap(),
            |path, _| fs::create_dir_all(path.join("deep/er")).unwrap(),
            |path, _| {
                fs::create_dir(path).unwrap();
                fs::write(path.join("file"), "x").unwrap();
                fs::set_permissions(path, Permissions::from_mode(0o500)).unwrap();
            },
            |path, _| {
                fs::create_dir(path).unwrap();
                fs::set_permissions(path, Permissions::from_mode(0o700)).unwrap();
                fs::write(path.join("file"), "x").unwrap();
            },
        ];
        for (at, make) in made.iter().enumerate() {
            let path = root.path().join(at.to_string());
            make(&path, &outside);
            renew(&path).unwrap();
            let meta = fs::symlink_metadata(&path).unwrap();
            assert!(meta.is_dir() && meta.mode() & 0o7777 == 0o700, "{at}");
            assert_eq!(fs::read_dir(&path).unwrap().count(), 0, "{at}");
        }
        assert!(outside.join("kept").exists());
    }

    #[test]
    fn all_but_what_is_kept_goes() {
        let root = tempfile::tempdir().unwrap();
        for name in ["a", "b", "c"] {
            fs::create_dir_all(root.path().join(name).join("deep")).unwrap();
        }
        fs::write(root.path().join("d"), "x").unwrap();
        all_but(root.path(), &[&root.path().join("b")]).unwrap();
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
        assert!(root.path().join("b/deep").exists());
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
