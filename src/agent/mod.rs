//! The agent: a program that turns a prompt into a stream of [`AgentEvent`]s.
//!
//! ```text
//! discover ─> Program ─ run_spec(RunRequest) ─> SpawnSpec ─ start ─> AgentRun ─ next() ─> AgentEvent …
//!                │           (print: arguments)             │            (frames, print: decode)
//!                └─ query ─> Reply                          └ drop: the process group is ended and reaped
//! ```
//!
//! A [`process::SpawnSpec`] is plain data, so that a fence can wrap it before it is started. What a
//! failed run means is told by `classify`; what may leave the process, by `redact`.
//!
//! Nothing here knows HTTP, a dialect or the client's tools: what the agent did is reported as it
//! was, in Cursor's own names. The event shapes follow the CLI's `stream-json` output.

pub mod classify;
mod discover;
mod env;
mod error;
mod event;
mod fenced;
mod handle;
mod lazy_json;
mod login;
pub mod print;
mod program;
mod run;

pub use discover::{discover, find_program};
pub use env::Env;
pub use error::AgentError;
pub use event::{AgentEvent, NativeCall, NativeOutcome, RunResult, RunUsage, Session};
pub use fenced::FencedRun;
pub use handle::{Agent, Setup};
pub use lazy_json::LazyJson;
pub use login::{Login, ask_login};
pub use program::{Program, Reply};
pub use run::{AgentRun, RunRequest, Tap};
