//! Integration tests.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

/// The `models` command as a process, and `scripts/check-pricing`.
mod models;
/// `sync-models`: golden configurations, properties, and being killed.
mod sync_models;
