//! The command line: one file per command, with its arguments and what it does.
//!
//! `anyhow` is at home here and in `main`; only [`render`] prints.

mod dirs;
mod models;
pub mod render;
mod sync_models;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use dirs::Dirs;

/// Use a Cursor subscription from OpenCode and any OpenAI-compatible client.
#[derive(Debug, Parser)]
#[command(
    name = "open-cursor",
    version,
    propagate_version = true,
    max_term_width = 100
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Models(models::Args),
    SyncModels(sync_models::Args),
}

/// Runs the command and says how it went.
pub async fn run(cli: Cli) -> ExitCode {
    let dirs = Dirs::new(&|name| std::env::var_os(name));
    let base_url = "http://127.0.0.1:32124/v1".to_owned();
    let unconnected = || async { Err("this build does not know how to ask the agent") };
    let catalog = crate::models::Catalog::new(unconnected, dirs.models_cache());
    let result = match cli.command {
        Command::Models(args) => models::run(args, &catalog).await,
        Command::SyncModels(args) => sync_models::run(args, &catalog, &dirs, base_url).await,
    };
    match result {
        Ok(code) => code,
        Err(error) => render::failure(&error),
    }
}
