//! Child processes: their spawning, output and end. Knows nothing of what the output means.

mod frames;

pub use frames::Frames;
