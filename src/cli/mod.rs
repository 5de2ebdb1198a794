//! The command line: one file per command, with its arguments and what it does.
//!
//! `anyhow` is used here and in `main` only, and only [`render`] prints.

mod agent_flag;
mod attached;
mod auth;
mod completions;
mod config;
mod demo;
mod dirs;
mod doctor;
mod flags;
mod greeting;
mod help;
mod install;
mod layout;
mod manifest;
mod mcp;
mod models;
mod own_server;
mod recipes;
mod reload;
pub mod render;
mod requests;
mod run;
mod serve;
mod setup;
mod status;
mod sync_models;
mod tools;
mod uninstall;
mod usage;
mod users;
pub mod wrong_usage;

use std::{ffi::OsStr, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};
use tokio::time::{Instant, timeout};

use crate::{
    agent::{AgentError, Env, choose},
    models::ModelCatalog,
};
use agent_flag::AgentFlag;
use dirs::UserDirs;

/// Use a Cursor subscription from OpenCode and any OpenAI-compatible client.
///
/// `open-cursor serve` starts a local server with OpenAI's, Anthropic's and Google's APIs. Cursor's CLI answers
/// the requests, and your client executes the tool calls. Base URL: http://127.0.0.1:32124/v1, any API
/// key.
#[derive(Debug, Parser)]
#[command(
    name = "open-cursor",
    version,
    propagate_version = true,
    disable_help_subcommand = true,
    max_term_width = 100
)]
#[command(after_help = "\
Examples:
  open-cursor demo                     a chat with tool calls, also without Cursor
  open-cursor run -- opencode          start OpenCode with Cursor's models, without any setup
  open-cursor serve                    serve on 127.0.0.1:32124
  open-cursor serve --agent replay     serve a built-in scripted agent, to try a client

Exit codes: 0 success, 1 failure, 2 wrong usage; `run` returns the exit code of its command.")]
pub struct Cli {
    #[command(subcommand)]
    command: CliCommand,
}

#[derive(Debug, Subcommand)]
enum CliCommand {
    Serve(serve::ServeArgs),
    Reload(reload::ReloadArgs),
    Run(run::RunArgs),
    Demo(demo::DemoArgs),
    Models(models::ModelsArgs),
    SyncModels(sync_models::SyncModelsArgs),
    Install(install::InstallArgs),
    Uninstall(uninstall::UninstallArgs),
    Status(status::StatusArgs),
    Usage(usage::UsageArgs),
    Requests(requests::RequestsArgs),
    Doctor(doctor::DoctorArgs),
    Login(auth::LoginArgs),
    Logout(auth::LogoutArgs),
    Auth(auth::AuthArgs),
    Setup(setup::SetupArgs),
    Config(config::ConfigArgs),
    Tools(tools::ToolsArgs),
    Mcp(mcp::McpArgs),
    Completions(completions::CompletionsArgs),
    Help(help::HelpArgs),
    #[command(hide = true)]
    Man(completions::ManArgs),
}

/// Runs the command and returns its exit code.
pub async fn run(cli: Cli) -> ExitCode {
    let result = dispatch(cli.command, &UserDirs::new(&|name| std::env::var_os(name))).await;
    match result {
        Ok(code) => render::finish(code),
        Err(error) => render::failure(&error),
    }
}

async fn dispatch(command: CliCommand, dirs: &UserDirs) -> anyhow::Result<ExitCode> {
    match command {
        CliCommand::Serve(args) => serve::run(args, dirs).await,
        CliCommand::Reload(args) => reload::run(args, dirs).await,
        CliCommand::Run(args) => run::run(args, dirs).await,
        CliCommand::Demo(args) => demo::run(args, dirs).await,
        CliCommand::Models(args) => models::run(args, dirs).await,
        CliCommand::SyncModels(args) => sync_models::run(args, dirs).await,
        CliCommand::Install(args) => install::run(args, dirs).await,
        CliCommand::Uninstall(args) => uninstall::run(args, dirs).await,
        CliCommand::Status(args) => status::run(args, dirs).await,
        CliCommand::Usage(args) => usage::run(args, dirs).await,
        CliCommand::Requests(args) => requests::run(args, dirs).await,
        CliCommand::Doctor(args) => doctor::run(args, dirs).await,
        CliCommand::Login(args) => auth::login(args, dirs).await,
        CliCommand::Logout(args) => auth::logout(args, dirs).await,
        CliCommand::Auth(args) => auth::run(args, dirs).await,
        CliCommand::Setup(args) => setup::run(args).await,
        CliCommand::Config(args) => config::run(&args, dirs),
        CliCommand::Tools(args) => tools::run(args).await,
        CliCommand::Mcp(args) => mcp::run(args, dirs).await,
        CliCommand::Completions(args) => completions::run(&args),
        CliCommand::Help(args) => help::run(&args),
        CliCommand::Man(args) => completions::man(&args),
    }
}

/// How long a command that shows the models waits for the agent, which has an earlier list then.
const SHOW: Duration = Duration::from_millis(4500);

/// How long one that writes them waits: the CLI was seen to take 15 s.
const WRITE: Duration = Duration::from_secs(20);

/// The agent's models, for commands that need no server and wait so long for it.
fn catalog(dirs: &UserDirs, flag: &AgentFlag, limit: Duration) -> anyhow::Result<ModelCatalog> {
    let settings = dirs.settings(&flag.flags())?.settings;
    let (explicit, bridge) = (settings.agent, settings.bridge);
    // Another program's models are not those of the user's account.
    let cache = dirs.files.models_cache.clone();
    let cache = cache.filter(|_| explicit.is_none());
    let list = move || {
        let (explicit, bridge) = (explicit.clone(), bridge.clone());
        async move {
            let env = process_env();
            let explicit = explicit.as_deref().map(OsStr::new);
            let begun = Instant::now();
            let chosen = timeout(limit, choose(explicit, bridge.as_deref(), &env)).await;
            let choice = chosen.unwrap_or_else(|_| {
                Err(AgentError::Failed(
                    "a program called `agent` did not say whose it is".to_owned(),
                ))
            })?;
            let left = limit.saturating_sub(begun.elapsed());
            choice.models(&env, left).await
        }
    };
    Ok(ModelCatalog::new(list, cache))
}

/// The environment that we were started with.
fn process_env() -> Env {
    std::env::vars_os().collect()
}

/// An API key that nobody can guess.
fn random_key() -> anyhow::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
    Ok(format!("oc-{:032x}", u128::from_ne_bytes(bytes)))
}
