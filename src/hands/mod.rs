//! Hands of our own: tools that the server executes, for clients that can't.
//!
//! ```text
//! Toolbox ── tools() ──> OwnTool         what may be offered to a model
//!         └─ execute(call, workspace) ──> Executed
//!              └ child ── ToolJob on stdin ──> executor (our own program, fenced) ── ToolAnswer on stdout
//! ```
//!
//! [`mcp`] adds the tools of MCP servers.
//!
//! A local tool runs in a child of its own behind the fence, in which it can write below the
//! workspace and its TMPDIR only: a mistake in an executor is then no hole. Knows tools, calls and
//! results; knows no agent, no conversation and no HTTP, and not who asks.

mod child;
mod executor;
mod local;
pub mod mcp;
mod protocol;
mod toolbox;

pub use child::environment;
pub use executor::main as executor_main;
pub use local::NAMES as LOCAL_TOOLS;
pub use protocol::SUBCOMMAND as EXECUTOR;
pub use toolbox::{Executed, OwnTool, Toolbox, ToolboxError, ToolboxSetup};
