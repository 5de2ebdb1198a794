//! The form that a client wants the answer's text to have.

use serde_json::Value;

/// Bounds on the answer's text. Cursor's CLI knows none of them, so the engine enforces them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OutputRules {
    /// The text ends before the first of these; none is empty.
    pub stop: Vec<String>,
    /// The most tokens of text, by [estimate](super::BYTES_PER_TOKEN). Reasoning and the arguments
    /// of tool calls don't count: a call cut short would be no call.
    pub max_tokens: Option<u64>,
    /// What the whole text must be.
    pub format: Format,
}

/// What the text of an answer without tool calls must be.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Format {
    /// Any text.
    #[default]
    Text,
    /// One JSON object.
    JsonObject,
    /// JSON that satisfies this schema.
    JsonSchema(Value),
}
