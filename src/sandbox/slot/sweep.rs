//! Emptying directories whatever the agent left in them.
//!
//! A tree can be deeper than any stack or path, and than there are file descriptors. So nothing
//! recurses: a directory that is not empty is moved up to the one being emptied, and everything is
//! named relative to a handle. Two are open at a time. No symlink is followed.

use std::{
    ffi::CStr,
    fs::{self, Permissions},
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::{MetadataExt, PermissionsExt},
    },
    path::Path,
};

use rustix::{
    fs::{AtFlags, CWD, Dir, Mode, OFlags, openat, renameat, unlinkat},
    io::Errno,
};

/// Removes everything in `directory`, and makes it if it is missing.
///
/// # Errors
/// What kept something from being removed; everything else is gone then.
pub(super) fn empty(directory: &Path) -> io::Result<()> {
    match open(CWD, directory) {
        Ok(handle) => Ok(remove_entries(&handle, &[])?),
        Err(Errno::NOENT) => super::private_directory(directory),
        Err(error) => Err(error.into()),
    }
}

/// Removes everything in `directory` but the entries of these names.
///
/// # Errors
/// As [`empty`].
pub(super) fn all_but(directory: &Path, kept: &[&str]) -> io::Result<()> {
    Ok(remove_entries(&open(CWD, directory)?, kept)?)
}

/// Makes an empty directory that only we can enter of whatever there is at `path`. One that is such
/// a directory stays: most runs leave nothing behind.
///
/// # Errors
/// As [`empty`].
pub(super) fn renew(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() && meta.mode() & 0o7777 == 0o700 => {}
        Ok(meta) if meta.is_dir() => fs::set_permissions(path, Permissions::from_mode(0o700))?,
        Ok(_) => fs::remove_file(path)?,
        Err(_) => {}
    }
    super::private_directory(path)?;
    empty(path)
}

/// Removes a directory with everything in it.
///
/// # Errors
/// As [`empty`].
pub(super) fn remove(directory: &Path) -> io::Result<()> {
    empty(directory)?;
    fs::remove_dir(directory)
}

/// Removes a directory of a directory, with everything in it.
///
/// # Errors
/// As [`empty`].
pub(super) fn remove_in(parent: &OwnedFd, name: &CStr) -> io::Result<()> {
    remove_entries(&open(parent, name)?, &[])?;
    Ok(unlinkat(parent, name, AtFlags::REMOVEDIR)?)
}

/// Empties a directory in passes, until one finds nothing more that it can remove.
fn remove_entries(top: &OwnedFd, kept: &[&str]) -> Result<(), Errno> {
    let mut moved = 0;
    loop {
        let mut progress = false;
        let mut failed = Ok(());
        for entry in Dir::read_from(top)? {
            let entry = entry?;
            let name = entry.file_name();
            let is_kept = kept.iter().any(|kept| kept.as_bytes() == name.to_bytes());
            if is_kept || is_dots(name) {
                continue;
            }
            match remove_entry(top, name, |from, name| move_up(from, name, top, &mut moved)) {
                Ok(()) => progress = true,
                Err(error) => failed = Err(error),
            }
        }
        if !progress {
            return failed;
        }
    }
}

/// Removes one entry of `top`. What is a directory below it, and not empty, is moved up.
fn remove_entry(
    top: &OwnedFd,
    name: &CStr,
    mut move_up: impl FnMut(&OwnedFd, &CStr) -> Result<(), Errno>,
) -> Result<(), Errno> {
    if remove_simple(top.as_fd(), name)? {
        return Ok(());
    }
    let directory = open(top, name)?;
    let mut failed = Ok(());
    for entry in Dir::read_from(&directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if is_dots(name) {
            continue;
        }
        let removed = match remove_simple(directory.as_fd(), name) {
            Ok(false) => move_up(&directory, name),
            removed => removed.map(|_| ()),
        };
        failed = failed.and(removed);
    }
    failed?;
    unlinkat(top, name, AtFlags::REMOVEDIR)
}

/// Removes a file or an empty directory. False if it is a directory that is not empty.
fn remove_simple(parent: BorrowedFd<'_>, name: &CStr) -> Result<bool, Errno> {
    match unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Ok(()) => Ok(true),
        Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
        Err(Errno::NOTDIR) => unlinkat(parent, name, AtFlags::empty()).map(|()| true),
        // A directory that we may not look into is emptied first.
        Err(Errno::ACCESS) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Gives a directory a name in `top` that is still free.
fn move_up(from: &OwnedFd, name: &CStr, top: &OwnedFd, moved: &mut u64) -> Result<(), Errno> {
    let mut locked = true;
    loop {
        *moved += 1;
        match renameat(from, name, top, format!("swept-{moved}")) {
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {}
            // To be moved it must be writable.
            Err(Errno::ACCESS) if locked => {
                unlock(from, name)?;
                locked = false;
            }
            result => return result,
        }
    }
}

/// A handle of a directory, which becomes ours to read and change. Overlayfs leaves one of mode
/// 000, and an agent may leave some too.
pub(super) fn open(
    parent: impl AsFd,
    name: impl rustix::path::Arg + Copy,
) -> Result<OwnedFd, Errno> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = || openat(&parent, name, flags, Mode::empty());
    let directory = match open() {
        Err(Errno::ACCESS) => {
            unlock(&parent, name)?;
            open()?
        }
        directory => directory?,
    };
    if rustix::fs::fstat(&directory)?.st_mode & 0o700 != 0o700 {
        rustix::fs::fchmod(&directory, Mode::RWXU)?;
    }
    Ok(directory)
}

/// Changes the mode of a directory that cannot be opened, but by its path only.
#[cfg(target_os = "linux")]
fn unlock(parent: impl AsFd, name: impl rustix::path::Arg) -> Result<(), Errno> {
    use std::os::fd::AsRawFd as _;

    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let handle = openat(parent, name, flags, Mode::empty())?;
    let link = format!("/proc/self/fd/{}", handle.as_raw_fd());
    rustix::fs::chmod(link, Mode::RWXU)
}

#[cfg(not(target_os = "linux"))]
fn unlock(parent: impl AsFd, name: impl rustix::path::Arg) -> Result<(), Errno> {
    rustix::fs::chmodat(parent, name, Mode::RWXU, AtFlags::SYMLINK_NOFOLLOW)
}

fn is_dots(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use std::{os::unix::fs::symlink, path::PathBuf};

    use super::*;

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
        all_but(root.path(), &["b"]).unwrap();
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

    /// A chain of directories, each in the one before, with a file in the last.
    fn nest(root: &Path, depth: usize) {
        let mut directory = open(CWD, root).unwrap();
        for _ in 0..depth {
            rustix::fs::mkdirat(&directory, c"d", Mode::RWXU).unwrap();
            directory = open(&directory, c"d").unwrap();
        }
        let flags = OFlags::CREATE | OFlags::WRONLY;
        openat(&directory, c"file", flags, Mode::RWXU).unwrap();
    }

    #[test]
    fn a_tree_deeper_than_any_path_and_stack_goes() {
        let root = tempfile::tempdir().unwrap();
        nest(root.path(), 5_000);
        // The names that are used for what is moved up.
        fs::create_dir_all(root.path().join("swept-1/full")).unwrap();
        fs::write(root.path().join("swept-2"), "").unwrap();
        let thread = std::thread::Builder::new().stack_size(64 << 10);
        let path = root.path().to_owned();
        thread
            .spawn(move || empty(&path))
            .unwrap()
            .join()
            .unwrap()
            .unwrap();
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn odd_nodes_go() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| -> PathBuf { root.path().join("d").join(name) };
        fs::create_dir(root.path().join("d")).unwrap();
        nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::empty()).unwrap();
        std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        symlink("loop", path("loop")).unwrap();
        fs::write(path("\n -rf $(x) \u{1}"), "").unwrap();
        fs::write(path("locked"), "").unwrap();
        fs::set_permissions(path("locked"), Permissions::from_mode(0o000)).unwrap();
        fs::hard_link(path("locked"), path("again")).unwrap();
        empty(root.path()).unwrap();
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }
}
