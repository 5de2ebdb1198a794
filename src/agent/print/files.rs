//! Files that came with the request, written where the agent can read them: the CLI takes no images
//! in print mode, but reads files.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use bytes::Bytes;

use crate::agent::{AgentError, agent::refused};

/// Writes all of them to a new directory below `private`, which must be removed with the run. They
/// are numbered in order, so that the prompt of one request begins the next one's. Their paths.
///
/// # Errors
/// `Refused` if they can't be written.
pub(super) async fn write(
    files: Vec<(&'static str, Bytes)>,
    private: &Path,
) -> Result<Vec<PathBuf>, AgentError> {
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let dir = private.join("attachments");
    tokio::task::spawn_blocking(move || write_all(&dir, files))
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
        .map_err(|error| refused(format_args!("cannot write the request's files: {error}")))
}

fn write_all(dir: &Path, files: Vec<(&'static str, Bytes)>) -> io::Result<Vec<PathBuf>> {
    fs::DirBuilder::new().mode(0o700).create(dir)?;
    let mut paths = Vec::new();
    for (extension, bytes) in files {
        let path = dir.join(format!("{}.{extension}", paths.len() + 1));
        write_new(&path, &bytes)?;
        paths.push(path);
    }
    Ok(paths)
}

/// Writes a file that only we may read, and that must not be there.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options.open(path)?.write_all(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn files_are_numbered_and_private() {
        let private = tempfile::tempdir().unwrap();
        assert!(write(Vec::new(), private.path()).await.unwrap().is_empty());
        assert!(!private.path().join("attachments").exists());
        let file = |extension, text: &'static str| (extension, Bytes::from_static(text.as_bytes()));
        let list = vec![file("png", "one"), file("txt", "two")];
        let paths = write(list.clone(), private.path()).await.unwrap();
        let dir = private.path().join("attachments");
        assert_eq!(paths, [dir.join("1.png"), dir.join("2.txt")]);
        assert_eq!(fs::read_to_string(&paths[1]).unwrap(), "two");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&dir), mode(&paths[0])), (0o700, 0o600));
        let again = write(list, private.path()).await;
        assert!(matches!(again, Err(AgentError::Refused { .. })));
    }
}
