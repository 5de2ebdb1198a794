//! The fence: the agent changes nothing that the client didn't do.
//!
//! ```text
//! Fence::probe ─> Fence ── prepare(slot, workspace) ─> Enclosure ── wrap(spec) ─> spawn
//!   what holds here           what holds for this run       └ changes() ─> what the agent wrote
//! ```
//!
//! Three layers, each useful alone: the view (Linux: a copy-on-write overlay at the workspace's own
//! path), the write limit (Landlock; `sandbox-exec` on macOS) and deny rules in the agent's
//! configuration. A launcher may wait in a free slot, with the next run's fence set up (`warm.rs`).
//! [`launcher`] sets the first two up between `fork` and the agent. Knows nothing of
//! what the agent says or what the client wants.

mod cgroup;
pub mod changes;
mod deny;
mod enclosure;
pub mod launcher;
mod limits;
mod plan;
mod policy;
mod probe;
mod reason;
mod seatbelt;
mod start;
mod status;
mod warm;

#[cfg(target_os = "linux")]
mod mounts;

pub use enclosure::{Enclosure, attended};
pub use limits::ResourceLimits;
#[cfg(target_os = "linux")]
pub use mounts::is_view;
pub use policy::{Fence, FenceConfig, FenceError, FenceMode};
pub use reason::Reason;
pub use start::StartError;
pub use status::{FenceStatus, Layer, State};

/// Whether this directory, as this process sees it, is a view: only Linux has them.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn is_view(_: &std::path::Path) -> bool {
    false
}
