//! Tools as the client offers, calls and answers them.

use serde::{Deserialize, Serialize};

use super::ToolSchema;

/// A tool that the client offers.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolSpec {
    /// The client's own name. It is always returned exactly as it was offered.
    pub name: String,
    /// What the client tells the model about it.
    pub description: String,
    /// Of the arguments; `{"type":"object","properties":{}}` if the client gave none.
    pub schema: ToolSchema,
}

/// A call of one of the client's tools.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Unique and on one line; the client sends it back with the result.
    pub id: String,
    /// The client's name of the tool.
    pub name: String,
    /// The arguments: the text of a JSON object, except where a client's own history holds
    /// something broken.
    pub arguments: String,
}

/// What the client's tool answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolResult {
    /// The id of the call that this answers.
    pub call_id: String,
    /// The tool's name, where the client repeats it.
    pub name: Option<String>,
    /// The output, verbatim.
    pub content: String,
    /// True if the client marked the result as an error.
    pub is_error: bool,
}

/// Which tools of the server's a request asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ServerTools {
    /// It does not say: those that every request gets.
    #[default]
    Usual,
    /// All that there are.
    All,
    /// These, by name.
    Named(Vec<String>),
}

/// Whether the model may, must or must not call tools.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ToolChoice {
    /// The model decides.
    #[default]
    Auto,
    /// No tool may be called.
    None,
    /// Some tool must be called.
    Required,
    /// One of these tools must be called.
    Named(Vec<String>),
}
