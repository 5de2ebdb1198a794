//! Cursor's CLI in print mode: a child for each run, its arguments, and its `stream-json` output
//! (SCHEMA 0-3).
//!
//! A line is parsed once, borrowed and typed (`wire`). What does not fit that shape is looked at
//! again as a tree, where every field may be missing or of another type (`lenient`). Neither knows
//! processes, and neither can fail: the worst line decodes to nothing.

mod agent;
mod command;
mod decode;
mod delta;
mod files;
mod lenient;
mod output;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod recordings;
mod run;
mod served;
mod wire;

pub(in crate::agent) use agent::PrintAgent;
pub use decode::decode;
pub use run::PrintRun;
