//! Files that came with the request: how many there may be, and where the agent finds them.

use std::path::PathBuf;

use bytes::Bytes;

use crate::turn::{Attachment, Part, Turn, TurnError};

/// How many a request may hold. Their size is bounded by that of the request.
const MOST: usize = 100;

/// Refuses a request with too many.
///
/// # Errors
/// `InvalidRequest`.
pub(super) fn check(turn: &Turn) -> Result<(), TurnError> {
    let count = list(turn).len();
    if count <= MOST {
        return Ok(());
    }
    Err(TurnError::invalid(
        "messages",
        format!("the conversation holds {count} files; open-cursor passes on at most {MOST}"),
    ))
}

/// All of them, in order: the end of each name, and what it holds.
pub(super) fn list(turn: &Turn) -> Vec<(&'static str, Bytes)> {
    let files = turn.messages.iter().flat_map(|message| &message.parts);
    files
        .filter_map(|part| match part {
            Part::Attachment(file) => Some((file.extension, file.bytes.clone())),
            _ => None,
        })
        .collect()
}

/// Notes where they lie, in the same order.
pub(super) fn place(turn: &mut Turn, paths: &[PathBuf]) {
    let mut paths = paths.iter();
    for part in turn.messages.iter_mut().flat_map(|m| &mut m.parts) {
        if let Part::Attachment(Attachment { file, .. }) = part {
            *file = paths.next().cloned();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::turn::{Message, Role};

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

    #[test]
    fn each_file_gets_its_place() {
        let mut turn = turn(2);
        let files = list(&turn);
        assert_eq!(files, [("png", "file 0".into()), ("txt", "file 1".into())]);
        place(&mut turn, &["/1.png".into(), "/2.txt".into()]);
        let places: Vec<_> = turn
            .messages
            .iter()
            .filter_map(|message| match &message.parts[1] {
                Part::Attachment(file) => file.file.clone(),
                _ => None,
            })
            .collect();
        assert_eq!(places, [PathBuf::from("/1.png"), "/2.txt".into()]);
    }

    #[test]
    fn too_many_are_refused() {
        assert!(check(&turn(MOST)).is_ok());
        assert!(check(&turn(MOST + 1)).is_err());
    }
}
