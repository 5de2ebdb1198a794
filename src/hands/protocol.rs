//! What the server and an executor say to each other: one JSON object each way. Both sides come
//! from the same build.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The hidden subcommand's name.
pub const SUBCOMMAND: &str = "tool-executor";

/// The longest answer that is read: the largest image as base64, and a text.
pub(super) const MOST_BYTES: usize = 8 << 20;

/// What an executor reads from stdin.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ToolJob {
    /// The name of a local tool.
    pub tool: String,
    pub arguments: Map<String, Value>,
    /// Absolute and without symlinks.
    pub workspace: PathBuf,
}

/// What it writes to stdout.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct ToolAnswer {
    pub content: String,
    pub is_error: bool,
    pub image: Option<Picture>,
}

impl ToolAnswer {
    /// A text.
    pub fn said(content: impl Into<String>) -> Self {
        Self {
            content: content.into(),
            ..Self::default()
        }
    }

    /// Why the tool did nothing, or what went wrong.
    pub fn failed(why: String) -> Self {
        Self {
            is_error: true,
            ..Self::said(why)
        }
    }
}

/// How we call a kind of picture that files and media types name so.
pub(super) fn picture_kind(name: &str) -> Option<&'static str> {
    Some(match name {
        "png" => "png",
        "jpg" | "jpeg" => "jpg",
        "gif" => "gif",
        "webp" => "webp",
        _ => return None,
    })
}

/// A picture that was read.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Picture {
    /// `png`, `jpg`, `gif` or `webp`.
    pub extension: String,
    pub base64: String,
}
