//! The command line: one file per command, with its arguments and what it does.
//!
//! `anyhow` is at home here and in `main`; only [`render`] prints.

mod attached;
mod demo;
mod dirs;
mod models;
pub mod render;
mod run;
mod serve;
mod sync_models;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{
    agent::{Env, discover},
    models::Catalog,
};
use dirs::Dirs;

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
  open-cursor run -- opencode          start OpenCode on Cursor's models, without any set-up
  open-cursor serve                    serve on 127.0.0.1:32124
  open-cursor serve --agent replay     serve the built-in replay agent, to try a client

Exit codes: 0 success, 1 failure, 2 wrong usage; `run` has those of its command.")]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<serve::Args>),
    Run(run::Args),
    Demo(demo::Args),
    Models(models::Args),
    SyncModels(sync_models::Args),
}

/// Runs the command and says how it went.
pub async fn run(cli: Cli) -> ExitCode {
    let dirs = Dirs::new(&|name| std::env::var_os(name));
    let result = match cli.command {
        Command::Serve(args) => serve::run(*args, &dirs).await,
        Command::Run(args) => run::run(args, &dirs).await,
        Command::Demo(args) => demo::run(args, &dirs).await,
        Command::Models(args) => models::run(args, &catalog(&dirs)).await,
        Command::SyncModels(args) => {
            let base_url = "http://127.0.0.1:32124/v1".to_owned();
            sync_models::run(args, &catalog(&dirs), &dirs, base_url).await
        }
    };
    match result {
        Ok(code) => code,
        Err(error) => render::failure(&error),
    }
}

/// The agent's models, for commands that need no server.
fn catalog(dirs: &Dirs) -> Catalog {
    let list = || async {
        let env = std::env::vars_os().collect::<Env>();
        let program = discover(None, &env).await?;
        program.models(&env.for_agent(&[])).await
    };
    Catalog::new(list, dirs.models_cache())
}
