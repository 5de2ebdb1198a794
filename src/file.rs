//! Writing a file whole: whoever reads it, is killed or loses power finds the old or the new one.

use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::path::Path;

/// How the names of temporary files begin.
const TEMPORARY: &str = ".open-cursor-";

/// How many letters and digits follow.
const RANDOM: usize = 6;

/// Whether [`replace`] may have named a temporary file so.
#[must_use]
pub fn is_temporary(name: &str) -> bool {
    let random = name.strip_prefix(TEMPORARY).map(str::as_bytes);
    random.is_some_and(|bytes| bytes.len() == RANDOM && bytes.iter().all(u8::is_ascii_alphanumeric))
}

/// Replaces `file` by way of a temporary beside it, synced before and after; its directory is made if
/// it is missing. Without a `mode` it gets that of any new file. What is there and no regular file (a
/// link, a pipe, a device such as /dev/null) is left alone, and an error. Blocking.
///
/// # Errors
/// What the operating system says; the old file is there then.
pub fn replace(file: &Path, text: &[u8], mode: Option<Permissions>) -> io::Result<()> {
    if std::fs::symlink_metadata(file).is_ok_and(|there| !there.is_file()) {
        return Err(no_regular_file());
    }
    let directory = file
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY).rand_bytes(RANDOM);
    // As any new file, not as a secret one.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut temporary = builder.tempfile_in(directory)?;
    temporary.write_all(text)?;
    if let Some(mode) = mode {
        temporary.as_file().set_permissions(mode)?;
    }
    temporary.as_file().sync_all()?;
    temporary.persist(file)?;
    sync_directory(directory)
}

/// Reads a file whole, as bytes; a pipe would be waited for, and some devices never end. Blocking.
///
/// # Errors
/// What the operating system says, or that it is no regular file.
pub fn read(file: &Path) -> io::Result<Vec<u8>> {
    if !std::fs::metadata(file)?.is_file() {
        return Err(no_regular_file());
    }
    std::fs::read(file)
}

/// The same, as text.
///
/// # Errors
/// As [`read`], or that it is not UTF-8.
pub fn read_text(file: &Path) -> io::Result<String> {
    String::from_utf8(read(file)?)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn no_regular_file() -> io::Error {
    io::Error::other("this is no regular file")
}

#[cfg(unix)]
fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A pipe, or a device for who may replace one, would be gone for everybody.
    #[test]
    fn only_files_are_replaced() {
        let root = tempfile::tempdir().unwrap();
        let pipe = root.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let (link, to) = (root.path().join("link"), root.path().join("to"));
        std::fs::write(&to, "one").unwrap();
        std::os::unix::fs::symlink(&to, &link).unwrap();
        for other in [&pipe, &link] {
            let kind = std::fs::symlink_metadata(other).unwrap().file_type();
            let error = replace(other, b"two", None).unwrap_err();
            assert!(error.to_string().contains("no regular file"), "{error}");
            assert_eq!(std::fs::symlink_metadata(other).unwrap().file_type(), kind);
        }
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_file_is_made_and_replaced_and_nothing_else_is_left() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("new/deep");
        let file = directory.join("file");
        for text in ["one", "two"] {
            replace(&file, text.as_bytes(), None).unwrap();
            assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
        }
        assert!(replace(&directory, b"no file", None).is_err());
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 1);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "two");
        let left = std::fs::read_dir(root.path().join("new")).unwrap();
        assert_eq!(left.count(), 1);
    }
}
