//! The provider boundary: what the agent did becomes what the client sees and executes.
//!
//! ```text
//! AgentEvent ─> segments (which text is new) ─> text_calls (calls in it) ─> Delta::Text
//!            │                                       │
//!            └> native (Cursor's call) ─> plan ──────┴─> catalog + alias (the client's tool)
//!                 edits wait for their change ─> change    └> compat + schema (its arguments)
//!                                                               │
//!                                    batch (parallel calls) <───┘
//!                                      └> guard + history (loops) ─> ids ─> Delta::ToolCall
//! ```
//!
//! Pure: no HTTP, no processes, no clock, no disk. The engine feeds it events, and asks it to
//! settle when the siblings of an announced call have had time to arrive.

mod alias;
mod batch;
mod catalog;
mod change;
mod compat;
mod decide;
mod default_schemas;
mod guard;
mod history;
mod ids;
mod in_flight;
mod native;
mod schema;
mod segments;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod testing;
mod text_calls;
mod translator;

use std::{path::PathBuf, str::FromStr, time::Duration};

pub use alias::is_same_tool;
pub use change::FileChange;
pub use guard::{hint, is_failure};
pub use native::changed_something;
pub use translator::Translator;

use crate::{
    agent::CallKey,
    turn::{FinishReason, ToolCall},
};

/// How calls are treated (`CURSOR_ACP_PROVIDER_BOUNDARY`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// Names and arguments are brought into the client's terms, and loops are stopped.
    #[default]
    V1,
    /// Exact names only, arguments as the agent sent them, no repair, no guard.
    Legacy,
}

/// Which calls are recovered from the answer's text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TextCalls {
    /// The `<tool_call>` protocol that the prompt asks for.
    Strict,
    /// Also the forms that models fall back on: XML in Claude's and Cline's styles, fenced JSON.
    #[default]
    Lenient,
    /// None.
    Off,
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "v1" => Ok(Self::V1),
            "legacy" => Ok(Self::Legacy),
            _ => Err(format!("`{text}` is not one of v1, legacy")),
        }
    }
}

impl FromStr for TextCalls {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "strict" => Ok(Self::Strict),
            "lenient" => Ok(Self::Lenient),
            "off" => Ok(Self::Off),
            _ => Err(format!("`{text}` is not one of strict, lenient, off")),
        }
    }
}

/// Settings of the boundary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundaryOptions {
    /// How calls are treated.
    pub mode: Mode,
    /// Whether a call whose arguments can't be made valid goes to the client all the same, so that
    /// the model reads the client's own validation message. Otherwise it ends the turn.
    pub auto_fallback: bool,
    /// Which calls are recovered from text.
    pub text_calls: TextCalls,
    /// How often in a row the same call may have the same outcome; one more is a loop.
    pub max_repeat: u32,
    /// Whether reads and searches run on Cursor's side even where the client offers them: each
    /// interception costs a new run.
    pub native_reads: bool,
}

impl Default for BoundaryOptions {
    fn default() -> Self {
        Self {
            mode: Mode::V1,
            auto_fallback: true,
            text_calls: TextCalls::default(),
            max_repeat: 3,
            native_reads: false,
        }
    }
}

/// What the engine does next.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Feed the next event.
    Continue,
    /// Calls are pending: settle after a short time without new events.
    Settling,
    /// Find this out and [`Translator::learn`] it.
    Need(Need),
    /// These calls go to the client. The run is not over by that: see [`Source`].
    Calls(Vec<ReadyCall>),
    /// The run is over: by its own end, or because it must not go on.
    Stop(FinishReason),
}

/// A question of the translator's: it has no disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// Whether there is such a file: answered by [`Fact::Exists`].
    Exists(PathBuf),
    /// What the agent has changed in its view: answered by [`Fact::Changes`].
    Changes,
}

/// What the translator can't see for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// The agent has no view of its own: what it edits, it edits for real. An edit whose exact call
    /// is not known when it is announced is then not a call of the client's any more.
    NoView,
    /// Files below this directory came with the request. The client does not know them, so the
    /// agent reads them itself.
    PrivateDir(PathBuf),
    /// No directory of the client's is known: the agent works in one of its own, which the client
    /// must not be sent to. What lies in it goes to the client by its relative path.
    OwnDirectory,
    /// The run works on in its view after a change: its changes are collected.
    CollectsChanges,
    /// The client's tools are real tools of the agent, so its native calls are its own business.
    ServedTools,
    /// Whether there is such a file.
    Exists(PathBuf, bool),
    /// What the agent has changed in its view. It replaces what events said of the same files.
    Changes(Vec<FileChange>),
}

/// A call for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadyCall {
    /// The call, with an id that no other call has.
    pub call: ToolCall,
    /// Where it comes from.
    pub source: Source,
}

/// Where a call comes from, which decides what becomes of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The agent's own tool: it must not execute it, so the run is ended.
    Native,
    /// The answer's text: the agent does not know that it called, so the run is ended.
    Text,
    /// A tool that is served to the agent, which waits for the result of this call.
    Held(CallKey),
    /// A change that the agent made in its view before it came to its end: the run waits to say its
    /// last word.
    Change,
}

impl Source {
    /// Whether the run goes on when the call has its result.
    fn is_kept(self) -> bool {
        matches!(self, Self::Held(_) | Self::Change)
    }
}

/// A native tool that was announced and is not complete yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenTool {
    /// Cursor's name for it.
    pub name: String,
    /// How long the agent itself lets it take, where it says so.
    pub timeout: Option<Duration>,
}
