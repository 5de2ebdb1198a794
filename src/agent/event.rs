//! What the agent did, in its own vocabulary.

use serde_json::{Map, Value};

use super::LazyJson;
use crate::{mcp::CallKey, turn::Usage};

/// One event of a run. Small, since there is one for each few characters of an answer: what is rare and
/// large is on the heap.
#[derive(Debug, Clone, PartialEq)]
pub enum AgentEvent {
    /// The first event of every run.
    Started(Box<Session>),
    /// Answer text that continues what came before (an `assistant` line with a timestamp and no
    /// `model_call_id`).
    TextDelta(String),
    /// A whole segment of answer text: a recap of the deltas before it or, in a run without
    /// partial output, the text itself.
    TextSegment {
        /// The text.
        text: String,
        /// Whether it names the model request that used tools next: a recap of the same text may
        /// follow that does not.
        before_tools: bool,
    },
    /// New reasoning text; may be empty.
    Thinking(String),
    /// Reasoning that stands in a recap of answer text, and may have come before.
    ThinkingSegment(String),
    /// A tool call is announced. Several in a row with one `model_call_id` are parallel.
    ToolStarted(Box<NativeCall>),
    /// A tool call is over. It may lack its announcement, and its arguments.
    ToolCompleted(Box<NativeCall>),
    /// A tool event about a tool that is served to the agent: the text before it is complete. The
    /// call itself comes as [`AgentEvent::ToolRequested`].
    ServedTool,
    /// The agent called a tool that is served to it, and waits for the result.
    ToolRequested {
        /// What to answer it by.
        key: CallKey,
        /// The client's name of the tool.
        name: String,
        /// As the model wrote them.
        arguments: Box<Map<String, Value>>,
    },
    /// The agent does not wait for this call any more.
    CallGivenUp(CallKey),
    /// The agent starts its model request again and may replay text it has already sent.
    Retrying,
    /// Something that carries nothing to answer, but shows that the agent is alive.
    Activity,
    /// The run is complete. Nothing after it counts.
    Finished(Box<RunResult>),
}

/// What the agent says of a run when it starts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Session {
    /// The chat's id, for `--resume`.
    pub id: Option<String>,
    /// Where the credentials came from: `login`, `env` or `flag`.
    pub api_key_source: Option<String>,
}

/// A tool call as Cursor describes it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NativeCall {
    /// Cursor's id. May hold a newline; never shown to a client.
    pub call_id: String,
    /// The model request that made the call; equal for the calls of one parallel batch.
    pub model_call_id: Option<String>,
    /// The kind without its `ToolCall` suffix: `shell`, `read`, `edit`, `mcp`, ...; for the
    /// generic `function` shape, the function's own name.
    pub kind: String,
    /// The arguments, where the event carries them.
    pub args: Option<Map<String, Value>>,
    /// The outcome, on completed calls.
    pub outcome: Option<NativeOutcome>,
}

/// How a native call ended.
#[derive(Debug, Clone, PartialEq)]
pub struct NativeOutcome {
    /// The arm of the result: `success`, `error`, `rejected`, `failure`, ...
    pub name: String,
    /// What the arm holds; read it as the [`Value`] that it derefs to.
    pub body: LazyJson,
}

impl NativeOutcome {
    /// Whether the tool did what it was asked to.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.name == "success"
    }
}

/// The `result` event.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunResult {
    /// All answer text of the run, joined without separators.
    pub text: String,
    /// True if the agent calls its own run failed; `text` then says why.
    pub is_error: bool,
    /// Token counts, where the CLI reports them.
    pub usage: Option<Usage>,
}
