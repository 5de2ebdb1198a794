//! Where a child process lives and what it may touch.
//!
//! ```text
//! process/   a child, its output, its end
//! slot/      the private directories of one running agent
//! fence/     what an agent may write, and the view that its changes go to
//! ```
//!
//! A [`process::SpawnSpec`] is plain data, so that a fence can wrap it before it is started. Nothing
//! here knows what a child says: no events, no prompt, no tools.

pub mod environment;
pub mod fence;
pub mod process;
pub mod redact;
pub mod slot;
pub mod untrusted;
