//! Changes that the agent made in its view and that reach no client.
//!
//! The model believes that they were made, and the client knows nothing of them. So the answer says
//! it, once for each file.

use std::fmt;

/// Why a change is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LossReason {
    /// The client has no tool for it.
    NoTool,
    /// No tool's arguments can hold the file.
    Content,
    /// Not all that the agent did in this directory is known.
    Unread,
    /// The client wanted no more of the answer.
    Cut,
}

impl fmt::Display for LossReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoTool => "no tool of the client can make this change",
            Self::Content => "the file is binary or too large to send as a tool call",
            Self::Unread => "not all that the agent did there could be read back",
            Self::Cut => "the answer was cut off before the change could be sent",
        })
    }
}

/// What one answer has lost.
#[derive(Debug, Default)]
pub(super) struct Losses {
    list: Vec<(String, LossReason)>,
    /// How many of them have been said.
    said: usize,
}

impl Losses {
    /// Notes a change; false if it is known.
    pub fn add(&mut self, path: &str, reason: LossReason) -> bool {
        let is_new = !self.list.iter().any(|(known, _)| known == path);
        if is_new {
            self.list.push((path.to_owned(), reason));
        }
        is_new
    }

    /// The files, in order.
    pub fn files(&self) -> Vec<String> {
        self.list.iter().map(|(path, _)| path.clone()).collect()
    }

    /// What to tell the user and the model, if there is anything that they have not been told.
    pub fn note(&mut self) -> Option<String> {
        let new = &self.list[self.said..];
        let sentence = |reason: LossReason| {
            let files: Vec<String> = new
                .iter()
                .filter(|(_, why)| *why == reason)
                .map(|(path, _)| path.replace(char::is_control, "?"))
                .collect();
            let verb = match (reason, files.len()) {
                (LossReason::Unread, _) => "may have more changes that were",
                (_, 1) => "was",
                _ => "were",
            };
            let made = match reason {
                LossReason::Unread => "made",
                _ => "changed",
            };
            let files = (!files.is_empty()).then(|| files.join(", "))?;
            Some(format!(
                "[open-cursor: {files} {verb} NOT {made}: {reason}]"
            ))
        };
        let sentences = [
            LossReason::NoTool,
            LossReason::Content,
            LossReason::Unread,
            LossReason::Cut,
        ]
        .map(sentence);
        let sentences: Vec<String> = sentences.into_iter().flatten().collect();
        self.said = self.list.len();
        (!sentences.is_empty()).then(|| format!("\n\n{}\n", sentences.join("\n")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_is_named_once_with_its_reason() {
        let mut losses = Losses::default();
        assert_eq!(losses.note(), None);
        assert!(losses.add("a", LossReason::NoTool));
        assert!(losses.add("b\n", LossReason::NoTool));
        assert!(losses.add("c", LossReason::Content));
        assert!(!losses.add("a", LossReason::NoTool));
        let note = losses.note().unwrap_or_default();
        assert!(
            note.contains("[open-cursor: a, b? were NOT changed: no tool"),
            "{note}"
        );
        assert!(
            note.contains("[open-cursor: c was NOT changed: the file is"),
            "{note}"
        );
        assert_eq!(losses.note(), None);
        assert_eq!(losses.files(), ["a", "b\n", "c"]);
    }
}
