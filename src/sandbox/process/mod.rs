//! Child processes: their spawning, output and end. Knows nothing of what the output means.
//!
//! A [`Process`] is held by whoever reads its stdout. Everything else of it belongs to one task in
//! the background, which keeps the end of stderr, waits for the exit, and ends the process group
//! when the `Process` is dropped.

mod child;
mod frames;
mod group;
mod order;
mod spawn;
mod supervise;
mod tail;
mod waiting;

pub use child::Process;
pub use frames::Frames;
pub use order::{OrderedSpawn, SpawnOrder};
pub use spawn::SpawnSpec;
pub use supervise::Exit;
pub use tail::Tail;
pub use waiting::{Start, WaitingChild};

/// Gets chunks of a child's stderr, unredacted.
pub type StderrTap = Box<dyn FnMut(&[u8]) + Send>;
