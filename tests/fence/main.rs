//! The fence on a real kernel: a shell plays the agent.
//!
//! As root, every test runs a second time as an unprivileged user (`unprivileged`). A test that
//! this kernel or user cannot run prints why; nothing is skipped silently.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

mod attacks;
mod escapes;
mod executor;
mod harness;
mod limits;
mod matrix;
mod persistence;
mod places;
mod probe;
mod unprivileged;
mod warm;
mod without_namespaces;
