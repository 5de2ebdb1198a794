//! Keeps OpenCode's configuration in step with the account's models.
//!
//! ```text
//! locate ─> the file OpenCode reads          models ── wish ─> what we would have written there
//!              └ document (JSONC, every byte kept) ──┐               │
//!                record (what we wrote last time) ───┴──── plan <────┘   edits, one per value
//!                                                           └─ commit: lock, re-read, backup, rename
//! ```
//!
//! A three-way merge: a value that still is what we wrote is ours to change; any other is the
//! user's and stays. Nothing outside `provider.<id>` is touched. Knows nothing of the agent, of
//! HTTP, or of the terminal.

mod backup;
mod commit;
mod desired;
mod document;
mod error;
mod inline;
mod inspect;
mod layout;
mod locate;
mod plan;
mod record;
mod remove;

pub use commit::{Outcome, Target, commit, preview};
pub use desired::{DesiredProvider, Layout, Options};
pub use error::ConfigError;
pub use inline::{Inline, inline};
pub use inspect::{Inspection, inspect};
pub use layout::shape;
pub use locate::{Places, locate};
pub use plan::{Edit, Summary, SyncPlan};
pub use remove::{Removal, Written, remove, written};

/// The provider's id in OpenCode's configuration, unless the user wishes another.
pub const PROVIDER: &str = "cursor-acp";
