//! The vocabulary that every other module shares.
//!
//! A *dialect* decodes a request into a [`Turn`] and encodes the [`TurnEvent`]s that answer it; the
//! boundary produces those events from what the agent did. This module depends on nothing else in
//! the crate: it knows no wire format, no process and no HTTP.

mod answer_form;
mod caller_key;
mod collected;
mod error;
mod estimate;
mod event;
mod message;
mod output_rules;
mod relocate;
mod results;
mod schema;
mod tool;

pub use answer_form::AnswerForm;
pub use caller_key::CallerKey;
pub use collected::Collected;
pub use error::{ErrorKind, TurnError};
pub use estimate::{BYTES_PER_TOKEN, estimate_tokens};
pub use event::{Activity, Delta, FinishReason, TurnEnd, TurnEvent, Usage};
pub use message::{Attachment, Message, Part, Role};
pub use output_rules::{Format, OutputRules};
pub use relocate::relocate;
pub use results::Results;
pub use schema::{ToolSchema, in_own_words};
pub use tool::{ServerTools, ToolCall, ToolChoice, ToolResult, ToolSpec};

/// One request to the model: the whole conversation, and what the client can execute.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Turn {
    /// The model as the client named it, for example `auto` or `cursor-acp/auto`.
    pub model: String,
    /// Cursor's own id of the model, where the client names it beside the model; it wins, and no
    /// effort changes it.
    pub cursor_model: Option<String>,
    /// The models to go on with, in this order, when Cursor says that the limit of one is reached.
    pub fallback_models: Vec<String>,
    /// The directory that the request names, as the client wrote it.
    pub workspace: Option<String>,
    /// The client's name for the conversation, where it sends one.
    pub conversation: Option<String>,
    /// Who asks, as far as it can be told: nobody else is given what waits for them.
    pub owner: Option<String>,
    /// The key that runs for this request alone use; without one, the server's own login does.
    pub key: Option<CallerKey>,
    /// The conversation in order, system messages included.
    pub messages: Vec<Message>,
    /// The tools that the client executes, under the client's own names.
    pub tools: Vec<ToolSpec>,
    /// Which tools of the server's the model may call too, where the server executes any.
    pub server_tools: ServerTools,
    /// Who is to execute tools, as the client wrote it; else the server's setting decides.
    pub tool_loop: Option<String>,
    /// The tools of the server's that the request allows, of those that need that.
    pub confirmed: Vec<String>,
    /// Whether the model may, must or must not call tools.
    pub tool_choice: ToolChoice,
    /// False if the client takes at most one call in each answer.
    pub parallel_tool_calls: bool,
    /// The reasoning effort asked for (`low`, `medium`, `high`, ...), if any.
    pub reasoning_effort: Option<String>,
    /// The form that the answer's text must have.
    pub output: OutputRules,
    /// How the client wants its answers written, for one that it asks for by posted results.
    pub form: Option<AnswerForm>,
}

impl Turn {
    /// Whether the answer may hold tool calls at all.
    #[must_use]
    pub fn allows_tools(&self) -> bool {
        !self.tools.is_empty() && self.tool_choice != ToolChoice::None
    }
}
