//! The command line: one file per command, with its arguments and what it does.
//!
//! `anyhow` is at home here and in `main`; only [`render`] prints.

mod demo;
pub mod render;
mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Use a Cursor subscription from OpenCode and any OpenAI-compatible client.
///
/// `open-cursor serve` starts a local server that speaks OpenAI's API and answers with Cursor's own
/// command line agent, including tool calls. Point a client at http://127.0.0.1:32124/v1 with any
/// API key.
#[derive(Debug, Parser)]
#[command(
    name = "open-cursor",
    version,
    propagate_version = true,
    max_term_width = 100
)]
#[command(after_help = "\
Examples:
  open-cursor demo                     see a chat and a tool call, without Cursor
  open-cursor serve                    serve on 127.0.0.1:32124
  open-cursor serve --agent replay     serve the built-in replay agent, to try a client

Exit codes: 0 success, 1 failure, 2 wrong usage.")]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Args),
    Demo(demo::Args),
}

/// Runs the command and says how it went.
pub async fn run(cli: Cli) -> ExitCode {
    let result = match cli.command {
        Command::Serve(args) => serve::run(args).await,
        Command::Demo(args) => demo::run(args).await,
    };
    match result {
        Ok(code) => code,
        Err(error) => render::failure(&error),
    }
}
