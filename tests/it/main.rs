//! Integration tests: the library's own server over real sockets, with the fake agent.
//!
//! The modules mirror what a client meets, not how the code is laid out.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

mod support;

/// Turns that run, wait and are turned away.
mod admission;
/// Text, reasoning and usage, streamed and whole.
mod answers;
/// Debug dumps.
mod dumps;
/// Failures as statuses and error events.
mod failures;
/// Golden cases: `fixtures/turns`.
mod golden;
/// Agents that misbehave.
mod hostile;
/// Paths, methods, bodies, headers.
mod http;
/// Real recordings, where they are at hand.
mod recordings;
/// Keys, origins, names and sizes.
mod security;
/// The `serve` command as a process.
mod serve;
/// Tool calls.
mod tools;
