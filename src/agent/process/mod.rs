//! Child processes: their spawning, output and end. Knows nothing of what the output means.
//!
//! A [`Process`] is held by whoever reads its stdout. Everything else of it belongs to one task in
//! the background, which keeps the end of stderr, waits for the exit, and ends the process group
//! when the `Process` is dropped.

mod frames;
mod group;
mod spawn;
mod supervise;
mod tail;

pub use frames::{Frames, MAX_LINE};
pub use spawn::SpawnSpec;
pub use supervise::{Exit, Process};
pub use tail::Tail;
