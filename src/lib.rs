//! open-cursor: use a Cursor subscription from OpenCode and any OpenAI-compatible client.
//!
//! ```text
//! client ── HTTP ──> http ──> dialect(decode) ──> engine ──> prompt ──> agent ══ cursor-agent (NDJSON)
//!                                                   │                     │
//! client <── SSE ─── http <── dialect(encode) <── boundary <──────────────┘
//! ```
//!
//! [`turn`] is the one vocabulary in the middle and depends on nothing. `tests/architecture.rs`
//! holds the import directions.
//!
//! | to add | touch |
//! |---|---|
//! | a tool alias | one row in `boundary/alias.rs` |
//! | an argument repair | `boundary/compat/<tool>.rs` |
//! | a guard | `boundary/guard/<name>.rs` |
//! | a dialect | `dialect/<name>/` and a line in [`dialect::all`] |
//! | a scenario of the replay agent | `replay/scenarios.json` |
//! | a price or a limit | `models/data/*.toml` |
//! | a client of `run` | a row in `clients/rows.rs` |
//! | a tool that the server executes | `hands/local/<name>.rs` and a line in its `TOOLS` |
//! | a setting | a row in `settings/rows.rs` |
//! | a check of `doctor` | `doctor/<name>.rs` and a row in [`doctor::CHECKS`] |
//! | a command | `cli/<name>.rs` and a variant in `cli/mod.rs` |

pub mod account;
pub mod agent;
pub mod auth;
pub mod boundary;
pub mod cli;
pub mod clients;
pub mod credential;
pub mod dialect;
pub mod doctor;
pub mod dump;
pub mod engine;
pub mod file;
pub mod hands;
pub mod history;
pub mod http;
pub mod mcp;
pub mod models;
pub mod opencode;
pub mod prompt;
pub mod replay;
pub mod sandbox;
pub mod service;
pub mod settings;
pub mod telemetry;
mod threads;
pub mod turn;
