//! The command line: one file per command, with its arguments and what it does.
//!
//! `anyhow` is at home here and in `main`; only [`render`] prints.

mod attached;
mod auth;
mod completions;
mod config;
mod demo;
mod dirs;
mod doctor;
mod flags;
mod greeting;
mod install;
mod layout;
mod manifest;
mod models;
mod reload;
pub mod render;
mod run;
mod serve;
mod setup;
mod status;
mod sync_models;
mod tools;
mod uninstall;
mod users;

use std::{
    ffi::OsStr,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

use crate::{
    agent::{Env, choose},
    models::Catalog,
    settings::{Flags, ServeSettings},
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
    Serve(serve::Args),
    Reload(reload::Args),
    Run(run::Args),
    Demo(demo::Args),
    Models(models::Args),
    SyncModels(sync_models::Args),
    Install(install::Args),
    Uninstall(uninstall::Args),
    Status(status::Args),
    Doctor(doctor::Args),
    Login(auth::LoginArgs),
    Logout(auth::LogoutArgs),
    Auth(auth::Args),
    Setup(setup::Args),
    Config(config::Args),
    Tools(tools::Args),
    Completions(completions::Args),
    #[command(hide = true)]
    Man(completions::ManArgs),
}

/// Runs the command and says how it went.
pub async fn run(cli: Cli) -> ExitCode {
    let result = dispatch(cli.command, &Dirs::new(&|name| std::env::var_os(name))).await;
    match result {
        Ok(code) => render::finish(code),
        Err(error) => render::failure(&error),
    }
}

async fn dispatch(command: Command, dirs: &Dirs) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(args) => serve::run(args, dirs).await,
        Command::Reload(args) => reload::run(args, dirs).await,
        Command::Run(args) => run::run(args, dirs).await,
        Command::Demo(args) => demo::run(args, dirs).await,
        Command::Models(args) => models::run(args, &catalog(dirs)?).await,
        Command::SyncModels(args) => {
            let base_url = base_url(&dirs.settings(&Flags::new())?.settings);
            sync_models::run(args, &catalog(dirs)?, dirs, base_url).await
        }
        Command::Install(args) => install::run(args, dirs).await,
        Command::Uninstall(args) => uninstall::run(args, dirs).await,
        Command::Status(args) => status::run(args, dirs).await,
        Command::Doctor(args) => doctor::run(args, dirs).await,
        Command::Login(args) => auth::login(args, dirs).await,
        Command::Logout(auth::LogoutArgs {}) => auth::logout(dirs).await,
        Command::Auth(args) => auth::run(args, dirs).await,
        Command::Setup(args) => setup::run(args).await,
        Command::Config(args) => config::run(&args, dirs),
        Command::Tools(args) => tools::run(args).await,
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => completions::man(&args),
    }
}

/// The agent's models, for commands that need no server.
fn catalog(dirs: &Dirs) -> anyhow::Result<Catalog> {
    let settings = dirs.settings(&Flags::new())?.settings;
    let (explicit, bridge) = (settings.agent, settings.bridge);
    // Another program's models are not those of the user's account.
    let cache = dirs.models_cache().filter(|_| explicit.is_none());
    let list = move || {
        let (explicit, bridge) = (explicit.clone(), bridge.clone());
        async move {
            let env = std::env::vars_os().collect::<Env>();
            let explicit = explicit.as_deref().map(OsStr::new);
            let choice = choose(explicit, bridge.as_deref(), &env).await?;
            choice.models(&env).await
        }
    };
    Ok(Catalog::new(list, cache))
}

/// Where clients on this machine find the server that the settings make.
fn base_url(settings: &ServeSettings) -> String {
    let host = match settings.host {
        any if any.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        host => host,
    };
    format!("http://{}/v1", SocketAddr::new(host, settings.port))
}
