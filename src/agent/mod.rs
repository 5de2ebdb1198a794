//! The agent: what turns a prompt into a stream of [`AgentEvent`]s.
//!
//! ```text
//! Agent ── start(RunRequest, prompt) ──> AgentRun ── next() ──> AgentEvent …
//!                                          │  ^
//!             the agent waits for a call ──┘  └── reply(key, result)
//! ```
//!
//! Kinds of agents are variants of [`AgentRun`], a folder each. A run owns all that is its own:
//! child, private directories, fence. `classify` says what a failed run means.
//!
//! Nothing here knows HTTP or a dialect: what the agent did is reported as it was, in Cursor's own
//! names. The event shapes follow the CLI's `stream-json` output.

#[allow(clippy::module_inception)]
mod agent;
pub mod bridge;
mod carrier;
mod choice;
pub mod classify;
mod discover;
mod env;
mod error;
mod event;
mod lazy_json;
mod login;
pub mod print;
mod program;
mod run;
mod usage;
mod uuid;

pub use crate::mcp::CallKey;
pub use agent::{Agent, Serving, Setup};
pub use carrier::carrier_problem;
pub use choice::{AgentChoice, choose};
pub use discover::{discover, find_program};
pub use env::Env;
pub use error::AgentError;
pub use event::{AgentEvent, NativeCall, NativeOutcome, RunResult, Session};
pub use lazy_json::LazyJson;
pub use login::{Login, ask_login};
pub use program::{Program, ProgramReply};
pub use run::{AgentRun, RunRequest, ServedTools, Siblings, Site, Tap, ViewChange};
pub use uuid::uuid;
