//! The agent: a program that turns a prompt into a stream of [`AgentEvent`]s.
//!
//! ```text
//! discover ─> Program ── start(RunRequest) ─> AgentRun ── next() ─> AgentEvent …
//!                            │                    └ drop: the process group is ended and reaped
//!                        print/ (stream-json)  process/ (spawn, group, frames, stderr)  fence/
//! ```
//!
//! Nothing here knows HTTP, a dialect or the client's tools: what the agent did is reported as it
//! was, in Cursor's own names. The event shapes follow the CLI's `stream-json` output.

mod error;
mod event;
pub mod fence;
pub mod slot;

pub use error::AgentError;
pub use event::{AgentEvent, NativeCall, NativeOutcome, RunResult, RunUsage, Session};
