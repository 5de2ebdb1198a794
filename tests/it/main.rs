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
/// Images and files.
mod attachments;
/// `login`, `logout` and `auth status`.
mod auth;
/// Cursor's SDK bridge as an agent: the fake one.
mod bridge;
/// The configuration file, completions and manual pages.
mod config;
/// Callers that bring keys of their own.
mod credentials;
/// What holds for every dialect, and what is one's own.
mod dialects;
/// The `doctor` command.
mod doctor;
/// Debug dumps.
mod dumps;
/// What stands between a client and its turn.
mod edge;
/// Tools that the server executes.
mod exec;
/// Failures as statuses and error events.
mod failures;
/// The agent's own writes.
mod fence;
/// Every form in which clients speak of tools.
mod forms;
/// Golden cases: `fixtures/turns`.
mod golden;
/// Loops, and what only looks like one.
mod guards;
/// Agents that misbehave.
mod history;
mod hostile;
/// Paths, methods, bodies, headers.
mod http;
/// `install`, `uninstall` and `status`.
mod install;
/// The endpoint for agents, and an agent that uses it.
mod limits;
mod mcp;
/// MCP servers whose tools the server executes.
mod mcp_http;
mod mcp_servers;
mod mcp_tls;
/// The `models` command as a process, and `scripts/check-pricing`.
mod models;
mod network;
/// What becomes of request parameters.
mod page;
mod parameters;
mod parked;
/// Real recordings, where they are at hand.
mod recordings;
/// The `run` command: a client with a server of its own.
mod run;
/// Keys, origins, names and sizes.
mod security;
/// The `serve` command as a process.
mod serve;
/// Cursor's own chats, gone on with.
/// Stop sequences, lengths, JSON and several choices.
mod shape;
/// Responses that are kept and continued.
mod stored;
/// `sync-models`: golden configurations, properties, and being killed.
mod sync_models;
/// Calls that the model writes out in its answer.
mod text_calls;
/// Tool calls.
mod tool_results;
mod tools;
mod usage;
mod view_turns;
/// Which directory a turn is about.
mod workspaces;
mod wrong_input;
