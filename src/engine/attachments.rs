//! Files that came with the request, written where the agent can read them.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use bytes::Bytes;

use crate::turn::{Attachment, ErrorKind, Message, Part, Turn, TurnError};

/// How many a request may hold. Their size is bounded by that of the request.
const MOST: usize = 100;

/// Refuses a request with too many.
///
/// # Errors
/// `InvalidRequest`.
pub(super) fn check(turn: &Turn) -> Result<(), TurnError> {
    let count = turn.messages.iter().flat_map(files).count();
    if count <= MOST {
        return Ok(());
    }
    Err(TurnError::invalid(
        "messages",
        format!("the conversation holds {count} files; open-cursor passes on at most {MOST}"),
    ))
}

/// Writes all of them to a new directory below `private`, which must be removed with the turn, and
/// notes where they lie. They are numbered in order, so that the prompt of one request begins the
/// next one's. The directory, or `None` if there is nothing to write.
///
/// # Errors
/// `Internal` if they can't be written.
pub(super) async fn write(turn: &mut Turn, private: &Path) -> Result<Option<PathBuf>, TurnError> {
    let dir = private.join("attachments");
    let mut list: Vec<(PathBuf, Bytes)> = Vec::new();
    for message in &mut turn.messages {
        for part in &mut message.parts {
            if let Part::Attachment(file) = part {
                let name = format!("{}.{}", list.len() + 1, file.extension);
                let path = dir.join(name);
                // They are on disk from now on, and nothing else needs them.
                list.push((path.clone(), std::mem::take(&mut file.bytes)));
                file.file = Some(path);
            }
        }
    }
    if list.is_empty() {
        return Ok(None);
    }
    let target = dir.clone();
    tokio::task::spawn_blocking(move || write_all(&target, &list))
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
        .map_err(|error| {
            TurnError::new(
                ErrorKind::Internal,
                format!("the request's files can't be written: {error}"),
            )
        })?;
    Ok(Some(dir))
}

fn write_all(dir: &Path, list: &[(PathBuf, Bytes)]) -> io::Result<()> {
    fs::DirBuilder::new().mode(0o700).create(dir)?;
    for (path, bytes) in list {
        let mut options = fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(bytes)?;
    }
    Ok(())
}

fn files(message: &Message) -> impl Iterator<Item = &Attachment> {
    message.parts.iter().filter_map(|part| match part {
        Part::Attachment(file) => Some(file),
        _ => None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::turn::Role;

    fn turn(count: usize) -> Turn {
        let file = |n: usize| {
            Part::Attachment(Attachment {
                extension: if n == 0 { "png" } else { "txt" },
                bytes: format!("file {n}").into(),
                file: None,
            })
        };
        let message = |n| Message {
            role: Role::User,
            parts: vec![Part::Text("see".to_owned()), file(n)],
        };
        Turn {
            messages: (0..count).map(message).collect(),
            ..Turn::default()
        }
    }

    #[tokio::test]
    async fn files_are_private_and_numbered() {
        let private = tempfile::tempdir().unwrap();
        let mut turn = turn(2);
        let dir = write(&mut turn, private.path()).await.unwrap().unwrap();
        let paths: Vec<_> = turn.messages.iter().flat_map(files).collect();
        for (file, (name, text)) in paths.iter().zip([("1.png", "file 0"), ("2.txt", "file 1")]) {
            let path = file.file.as_deref().unwrap();
            assert_eq!(path, dir.join(name));
            assert_eq!(fs::read_to_string(path).unwrap(), text);
            assert!(file.bytes.is_empty(), "it is not kept in memory");
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(path), mode(&dir)), (0o600, 0o700));
        }
    }

    #[tokio::test]
    async fn nothing_is_made_for_nothing_and_too_many_are_refused() {
        let private = tempfile::tempdir().unwrap();
        let mut none = Turn::default();
        assert_eq!(write(&mut none, private.path()).await.unwrap(), None);
        assert_eq!(fs::read_dir(private.path()).unwrap().count(), 0);
        assert!(check(&turn(MOST)).is_ok());
        assert!(check(&turn(MOST + 1)).is_err());
    }
}
