//! Replaces files atomically: a reader, a kill or a power cut leaves the old or the new content.

use std::{
    fs::{File, Permissions},
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

/// How the names of temporary files begin.
const TEMPORARY: &str = ".open-cursor-";

/// How many letters and digits follow.
const RANDOM: usize = 6;

/// Whether a name is that of a temporary file of [`replace`].
#[must_use]
pub fn is_temporary(name: &str) -> bool {
    let random = name.strip_prefix(TEMPORARY).map(str::as_bytes);
    random.is_some_and(|bytes| bytes.len() == RANDOM && bytes.iter().all(u8::is_ascii_alphanumeric))
}

/// Replaces `file` by a temporary file beside it, synced before and after; creates its directory. Without
/// a `mode` it gets that of any new file. Something that is not a regular file (a link, a pipe, a device
/// such as /dev/null) is an error, and not replaced. Blocking.
///
/// # Errors
/// The operating system's error; the old file is unchanged then.
pub fn replace(file: &Path, text: &[u8], mode: Option<Permissions>) -> io::Result<()> {
    if std::fs::symlink_metadata(file).is_ok_and(|there| !there.is_file()) {
        return Err(not_regular());
    }
    let directory = file
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY).rand_bytes(RANDOM);
    // As any new file, not as a secret one.
    builder.permissions(Permissions::from_mode(0o666));
    let mut temporary = builder.tempfile_in(directory)?;
    temporary.write_all(text)?;
    if let Some(mode) = mode {
        temporary.as_file().set_permissions(mode)?;
    }
    temporary.as_file().sync_all()?;
    temporary.persist(file)?;
    File::open(directory)?.sync_all()
}

/// Reads a regular file; a pipe could block, and some devices never end. Blocking.
///
/// # Errors
/// The operating system's error, or that it is not a regular file.
pub fn read(file: &Path) -> io::Result<Vec<u8>> {
    if !std::fs::metadata(file)?.is_file() {
        return Err(not_regular());
    }
    std::fs::read(file)
}

/// Like [`read`], as text.
///
/// # Errors
/// As [`read`], or that it is not UTF-8.
pub fn read_text(file: &Path) -> io::Result<String> {
    String::from_utf8(read(file)?)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn not_regular() -> io::Error {
    io::Error::other("this is not a regular file")
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
            assert!(error.to_string().contains("not a regular file"), "{error}");
            assert_eq!(std::fs::symlink_metadata(other).unwrap().file_type(), kind);
        }
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_file_is_created_and_replaced_and_nothing_else_is_left() {
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
