//! Reading what an agent may have written: never waits, never ends late, never fills the memory.
//!
//! A path can lead to a pipe without a writer, to `/dev/zero`, or to a sparse file of terabytes,
//! and change between two looks. So it is opened once, and the handle decides.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use nix::fcntl::OFlag;

/// The longest configuration file that is read. Cursor's own have some kilobytes.
const LONGEST: u64 = 8 << 20;

/// Opens a file to read it. Neither waits for a pipe nor follows a link, not even one in place of a
/// directory on the way there (but on macOS and before Linux 5.6); whether it is a file at all, and how
/// long, only the result can tell.
pub(super) fn open(path: &Path) -> io::Result<File> {
    #[cfg(target_os = "linux")]
    {
        use rustix::{
            fs::{CWD, Mode, OFlags, ResolveFlags, openat2},
            io::Errno,
        };
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        match openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
            // An old kernel, or a filter that was made for one.
            Err(Errno::NOSYS | Errno::PERM) => {}
            opened => return Ok(opened?.into()),
        }
    }
    open_with(path, OFlag::O_NOFOLLOW)
}

/// What a file holds. A link is followed, since users keep their settings elsewhere; anything but a
/// file of at most 8 MiB is an error.
///
/// # Errors
/// `InvalidInput` for anything but a file, `FileTooLarge`; what the operating system says.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = open_with(path, OFlag::empty())?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file",
        ));
    }
    let mut content = Vec::new();
    if meta.len() <= LONGEST {
        // It can grow meanwhile.
        file.take(LONGEST + 1).read_to_end(&mut content)?;
    }
    if meta.len().max(content.len() as u64) > LONGEST {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("longer than {} MiB", LONGEST >> 20),
        ));
    }
    Ok(content)
}

/// The text that a file holds; see [`read`].
///
/// # Errors
/// As [`read`]; `InvalidData` if it is not UTF-8.
pub fn read_to_string(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn open_with(path: &Path, flags: OFlag) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags((flags | OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits())
        .open(path)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn only_files_of_some_length_are_read() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        fs::write(path("file"), "text").unwrap();
        symlink("file", path("link")).unwrap();
        for name in ["file", "link"] {
            assert_eq!(read_to_string(&path(name)).unwrap(), "text", "{name}");
        }
        assert!(open(&path("file")).is_ok() && open(&path("link")).is_err());
        fs::create_dir(path("real")).unwrap();
        fs::write(path("real/file"), "text").unwrap();
        symlink("real", path("way")).unwrap();
        let through = open(&path("way/file"));
        assert_eq!(through.is_err(), cfg!(target_os = "linux"), "{through:?}");

        nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        symlink("/dev/zero", path("endless")).unwrap();
        symlink("loop", path("loop")).unwrap();
        fs::create_dir(path("directory")).unwrap();
        File::create(path("sparse"))
            .unwrap()
            .set_len(2 << 30)
            .unwrap();
        fs::write(path("binary"), [0xff]).unwrap();
        for name in [
            "pipe",
            "endless",
            "loop",
            "directory",
            "sparse",
            "binary",
            "missing",
        ] {
            assert!(read_to_string(&path(name)).is_err(), "{name}");
        }
    }
}
