//! The CLI's print mode: its arguments, and its `stream-json` output (SCHEMA 0-3).
//!
//! A line is parsed once, borrowed and typed (`wire`). What does not fit that shape is looked at
//! again as a tree, where every field may be missing or of another type (`lenient`). Neither knows
//! processes, and neither can fail: the worst line decodes to nothing.

mod args;
mod decode;
mod lenient;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod recordings;
mod wire;

pub use args::args;
pub use decode::decode;
