//! Messages and their parts.

use std::{fmt, path::PathBuf};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{ToolCall, ToolResult};

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions to the model (`system` and `developer`).
    System,
    /// The person or program that asks.
    User,
    /// The model.
    Assistant,
    /// The client, reporting what its tools answered.
    Tool,
}

/// One message of the conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order. May be empty (`content: null`).
    pub parts: Vec<Part>,
}

/// One piece of a message.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// Text, verbatim.
    Text(String),
    /// A tool call that the model made in an earlier turn.
    ToolCall(ToolCall),
    /// What the client's tool answered to such a call.
    ToolResult(ToolResult),
    /// An image or a text file.
    Attachment(Attachment),
}

/// A file that came with a message.
#[derive(Clone, PartialEq, Eq)]
pub struct Attachment {
    /// What its name ends with: `png`, `jpg`, `gif`, `webp` or `txt`.
    pub extension: &'static str,
    /// What it holds.
    pub bytes: Bytes,
    /// Where it lies, as soon as it does: the agent can only read files.
    pub file: Option<PathBuf>,
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Attachment({}, {} bytes)",
            self.extension,
            self.bytes.len()
        )
    }
}

impl Part {
    /// About how much memory it takes, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        let held = match self {
            Self::Text(text) => text.len(),
            Self::ToolCall(call) => call.id.len() + call.name.len() + call.arguments.len(),
            Self::ToolResult(result) => result.call_id.len() + result.content.len(),
            Self::Attachment(file) => file.bytes.len(),
        };
        size_of::<Self>() + held
    }
}

impl Message {
    /// About how much memory it takes, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        let parts = self.parts.iter();
        size_of::<Self>() + parts.map(Part::size).sum::<usize>()
    }

    /// A message that holds one text.
    #[must_use]
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self {
            role,
            parts: vec![Part::Text(text.into())],
        }
    }

    /// The result of a call, and the files that came with it.
    #[must_use]
    pub fn result(result: ToolResult, files: Vec<Part>) -> Self {
        let result = Part::ToolResult(result);
        Self {
            role: Role::Tool,
            parts: std::iter::once(result).chain(files).collect(),
        }
    }

    /// A message of these parts. One that only reports results, and files with them, is the client's,
    /// not the user's.
    #[must_use]
    pub fn of(role: Role, parts: Vec<Part>) -> Self {
        let is_result = |part: &Part| matches!(part, Part::ToolResult(_));
        let is_file = |part: &Part| matches!(part, Part::Attachment(_));
        let only_results = parts.iter().any(is_result)
            && parts.iter().all(|part| is_result(part) || is_file(part));
        Self {
            role: if only_results { Role::Tool } else { role },
            parts,
        }
    }

    /// The tool calls in this message, in order.
    pub fn tool_calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.parts.iter().filter_map(|part| match part {
            Part::ToolCall(call) => Some(call),
            _ => None,
        })
    }

    /// The tool results in this message, in order.
    pub fn tool_results(&self) -> impl Iterator<Item = &ToolResult> {
        self.parts.iter().filter_map(|part| match part {
            Part::ToolResult(result) => Some(result),
            _ => None,
        })
    }
}
