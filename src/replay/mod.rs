//! The built-in replay agent: a stand-in for Cursor's CLI that answers from a script.
//!
//! `open-cursor serve --agent replay` starts our own binary with `replay-agent` and then exactly
//! the arguments that the CLI would get, so that the demo, the end-to-end tests and a first look
//! work without Cursor, an account or a network. It is a separate process with blocking I/O.
//!
//! ```text
//! args ─> surface (flags, trust, models, status, …) ─> script (scenarios.json) ─> emitter ─> NDJSON
//!                                                        └ transcript: which step is due?
//! ```
//!
//! Adding a scenario is one entry in `scenarios.json`. Its `steps` are what the agent does in the
//! first request, after the first tool result, and so on; `script.rs` lists the words it knows. The
//! model `replay-script` plays the steps that the user's message spells out.
//!
//! With `--approve-mcps` and an MCP server in `.cursor/mcp.json` it calls the client's tools there and
//! plays its steps to the end in one run.
//!
//! **What it is not.** Those two files of MCP servers and permissions are all it reads, those servers
//! all it connects to. It runs no command, and it writes in one place only: where its workspace
//! is a view, edits are made there, as the CLI makes them. It reads there, and where it was allowed to.
//! After it announced a tool it waits about as long as a real agent needs (the proxy normally stops
//! it there), then reports any other call as refused, as the CLI does without `--force`, and closes
//! with a sentence that says so. A real agent would have executed some of these calls by itself.
//! Token counts are estimates of four bytes to a token.
//!
//! The surface and the [`Emitter`] know nothing of the scenarios, so the test suite's hostile fake
//! agent is built from the same parts.

mod args;
mod client_tools;
mod emitter;
mod ident;
mod mcp;
mod native;
mod script;
mod surface;
mod tool;
mod transcript;

use std::ffi::OsString;
use std::io::{Read, Write};

pub use args::Args;
pub use emitter::{Emitter, ReplayCall, ReplaySession};
pub use mcp::{Mcp, McpTool, awaits, configured};
pub use surface::{ALLOWED_TOOLS, ModelRow, Repertoire, ReplayRun, run, unknown_model, untrusted};
pub use tool::{Edit, ReplayTool, Todo};

/// Runs the replay agent on `args` (without the program's name and `replay-agent`) and returns
/// its exit code: 0, or 1 as the CLI does for every failure.
pub fn main(
    args: impl Iterator<Item = OsString>,
    mut stdin: impl Read,
    mut stdout: impl Write,
    mut stderr: impl Write,
) -> u8 {
    match script::Script::embedded() {
        Ok(script) => run(&script, args, &mut stdin, &mut stdout, &mut stderr),
        // Only a broken build gets here: a test parses the embedded file.
        Err(error) => {
            let _ = writeln!(stderr, "Error: scenarios.json: {error}");
            1
        }
    }
}

#[cfg(test)]
mod tests;
