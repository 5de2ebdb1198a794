//! Keeps OpenCode's configuration in step with the account's models.
//!
//! ```text
//! locate ─> the file OpenCode reads          models ─ desired ─> the provider we want there
//!              └ document (JSONC, every byte kept) ──┐               │
//!                record (what we wrote last time) ───┴──── plan <────┘   edits, one per value
//!                                                           └─ edit: lock, re-read, backup, rename
//! ```
//!
//! A three-way merge: a value that is still what we wrote may be changed; any other is the user's and
//! stays. Nothing outside `provider.<id>` changes. Must not know the agent, HTTP or the terminal.

mod backup;
mod commit;
mod desired;
mod document;
mod edit;
mod error;
mod inline;
mod inspect;
mod layout;
mod locate;
mod plan;
mod record;
mod remove;

pub use commit::{Committed, Original, commit};
pub use desired::{DesiredProvider, Layout, ModelOptions};
pub use edit::ConfigTarget;
pub use error::ConfigError;
pub use inline::{Inline, inline};
pub use inspect::{Inspection, inspect};
pub use layout::shape;
pub use locate::{OpencodePlaces, locate};
pub use plan::{ConfigEdit, Summary, SyncPlan};
pub use remove::{OurEntry, Removal, remove, written};

/// The default id of the provider in OpenCode's configuration.
pub const PROVIDER: &str = "cursor-acp";
