//! `open-cursor run`.

use std::{
    ffi::{OsStr, OsString},
    net::SocketAddr,
    path::Path,
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context as _;
use clap::builder::PossibleValuesParser;
use tempfile::TempDir;

use super::{
    WRITE, attached,
    dirs::{ServerFiles, UserDirs},
    flags::RunFlags,
    own_server::OwnServer,
    process_env, random_key, render,
    serve::workspace,
};
use crate::{
    agent::{AgentChoice, choose},
    clients::{CLIENTS, Client, ClientServer, Passed, TemporaryFile},
    http::{self, ApiKey},
    models::{Listing, ListingOrigin, ModelCatalog},
    settings::Resolved,
    telemetry,
};

/// The key for clients of a server that needs none; some clients require one.
const KEY: &str = "open-cursor";

/// Run a client with Cursor's models, without any setup
///
/// Starts a server with a random API key on a free port (or uses one that already runs for this
/// directory), points the command at it, and stops it at the end. None of your files is changed.
/// `open-cursor run --help-client NAME` shows what is set for a client; a command that is not known by
/// name gets the variables of OpenAI's and Anthropic's SDKs.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  open-cursor run -- opencode
  open-cursor run -- opencode run \"What does this project do?\"
  open-cursor run --client opencode -- npx opencode-ai
  open-cursor run --model gpt-5.5 -- aider
  open-cursor run -- python my_openai_script.py
  open-cursor run --agent replay -- env

The exit code is that of the command: 128 plus the signal's number if one ended it, 127 if the command does \
not exist, 126 if it cannot be started. CURSOR_ACP_REUSE_EXISTING_PROXY=false always starts a server.")]
pub struct RunArgs {
    /// First model; the client may choose others [default: the client's, else auto]
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,

    /// Treat the command as this client, if its name is another one
    #[arg(long, value_name = "CLIENT", value_parser = client_names())]
    client: Option<String>,

    /// Show what is set for a client, and run nothing
    #[arg(long, value_name = "CLIENT", exclusive = true, value_parser = client_names())]
    help_client: Option<String>,

    #[command(flatten)]
    flags: RunFlags,

    /// Show the server's log on stderr: error, warn, info, debug, trace or a filter
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<telemetry::Filter>,

    /// The command with its arguments
    #[arg(
        required_unless_present = "help_client",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    command: Vec<OsString>,
}

fn client_names() -> PossibleValuesParser {
    PossibleValuesParser::new(CLIENTS.iter().map(|client| client.name))
}

/// Runs the command and a server for it.
pub async fn run(args: RunArgs, dirs: &UserDirs) -> anyhow::Result<ExitCode> {
    let named = |name: &Option<String>| {
        CLIENTS
            .iter()
            .find(|client| name.as_deref() == Some(client.name))
    };
    if let Some(client) = named(&args.help_client) {
        help(client);
        return Ok(ExitCode::SUCCESS);
    }
    let env = |name: &str| std::env::var(name).ok();
    if let Some(level) = &args.log_level {
        telemetry::init(level, telemetry::LogFormat::Text, None)?;
    }
    let mut resolved = dirs.settings(&args.flags.0)?;
    // One client, started here.
    let workspace = &mut resolved.settings.workspace;
    workspace.get_or_insert_with(|| ".".into());
    let (program, rest) = args.command.split_first().context("there is no command")?;
    let client = named(&args.client).unwrap_or_else(|| Client::of(Path::new(program)));

    let files = ServerFiles {
        history: dirs.files.history.clone(),
        ..ServerFiles::default()
    };
    let backend = Backend::open(resolved, files).await?;
    let listing = if client.wants_models {
        Some(backend.listing().await)
    } else {
        None
    };
    let setup = client
        .setup(&ClientServer {
            url: &backend.url,
            key: &backend.key,
            model: args.model.as_deref(),
            listing: listing.as_deref(),
            env: &env,
            opencode: &dirs.opencode,
        })
        .map_err(|error| {
            render::usage(
                error,
                "`open-cursor run --help-client NAME` shows what is set",
            )
        })?;

    let mut command = tokio::process::Command::new(program);
    command.args(setup.args).envs(setup.set);
    // The directory is removed when the command has ended.
    let _config = match setup.config {
        Some(config) => Some(configure(config, &mut command)?),
        None => None,
    };
    command.args(rest);
    for name in setup.unset {
        command.env_remove(name);
    }
    let ended = attached::run(command).await;
    backend.close().await;
    match ended {
        Ok(code) => Ok(ExitCode::from(code)),
        Err(error) => {
            let is_missing = error.kind() == std::io::ErrorKind::NotFound;
            let hint = match client.install.filter(|_| is_missing) {
                Some(install) => format!("install it with `{install}`"),
                None if is_missing => "name a program on PATH, or its path".to_owned(),
                None => "name a program that you may execute".to_owned(),
            };
            let what = format!("cannot run {}: {error}", program.display());
            Err(render::ending_with(attached::refusal(&error), what, hint))
        }
    }
}

/// Writes the client's configuration file, and points the command at it.
fn configure(
    config: TemporaryFile,
    command: &mut tokio::process::Command,
) -> anyhow::Result<TempDir> {
    let failed = "cannot write a temporary configuration file";
    let directory = tempfile::Builder::new()
        .prefix("open-cursor-")
        .tempdir()
        .context(failed)?;
    let file = directory.path().join(config.name);
    std::fs::write(&file, config.content).context(failed)?;
    match config.passed {
        Passed::Argument(name) => {
            command.arg(name).arg(file);
        }
        Passed::Variable(name) => {
            command.env(name, file);
        }
        Passed::Directory(variable, users) => {
            let others = users.and_then(|users| std::fs::read_dir(users).ok());
            for other in others.into_iter().flatten().flatten() {
                if other.file_name() != *config.name {
                    let link = directory.path().join(other.file_name());
                    std::os::unix::fs::symlink(other.path(), link).context(failed)?;
                }
            }
            command.env(variable, directory.path());
        }
    }
    Ok(directory)
}

/// The variables, arguments and files of one client, for `--help-client`.
fn help(client: &Client) {
    render::line(format_args!("open-cursor run -- {}\n", client.name));
    render::line(format_args!("Sets: {}.", client.help));
    if let Some(install) = client.install {
        render::line(format_args!("Install it with: {install}"));
    }
    render::line(
        "Of this nothing stays behind: variables are set for this process only, and a temporary file is removed at its end.",
    );
}

/// The server that the command uses.
struct Backend {
    url: String,
    key: String,
    server: UsedServer,
}

/// Whose server that is.
enum UsedServer {
    Own(OwnServer),
    /// One that runs already, whose list of models is asked for here.
    Other(ModelCatalog),
}

impl Backend {
    /// The server that runs already, if it would answer as one of ours; else one of ours.
    async fn open(resolved: Resolved, files: ServerFiles) -> anyhow::Result<Self> {
        if let Some((url, choice)) = reusable(&resolved).await? {
            let list = move || {
                let choice = choice.clone();
                async move { choice.models(&process_env(), WRITE).await }
            };
            return Ok(Self {
                url,
                key: KEY.to_owned(),
                server: UsedServer::Other(ModelCatalog::new(list, None)),
            });
        }
        // Other users of this machine must not use this server.
        let key = random_key()?;
        let server = OwnServer::start(resolved, files, ApiKey::new(&key)).await?;
        Ok(Self {
            url: format!("http://{}", server.addr),
            key,
            server: UsedServer::Own(server),
        })
    }

    async fn listing(&self) -> Arc<Listing> {
        let listing = match &self.server {
            UsedServer::Own(server) => server.app.engine().models().list().await,
            UsedServer::Other(catalog) => catalog.list().await,
        };
        if let (Some(problem), ListingOrigin::Builtin) = (&listing.problem, listing.origin) {
            render::note(format_args!("note: only `auto` is available: {problem}"));
        }
        listing
    }

    /// Ends the server, if it is ours, and whatever it still runs.
    async fn close(self) {
        if let UsedServer::Own(server) = self.server {
            let _ = server.close().await;
        }
    }
}

/// The URL of the server at the usual address, and its agent, if it is one of ours, of this version,
/// with the same agent, directory and settings.
async fn reusable(resolved: &Resolved) -> anyhow::Result<Option<(String, AgentChoice)>> {
    let settings = &resolved.settings;
    if !settings.reuse {
        return Ok(None);
    }
    let addr = SocketAddr::new(settings.host, settings.port);
    let Some(sibling) = http::identify(addr).await else {
        return Ok(None);
    };
    if sibling.version != env!("CARGO_PKG_VERSION") {
        render::note(format_args!(
            "note: {sibling} on {addr} is another version; starting a server of this version"
        ));
        return Ok(None);
    }
    let explicit = settings.agent.as_deref().map(OsStr::new);
    let choice = choose(explicit, settings.bridge.as_deref(), &process_env()).await?;
    let dir = workspace(settings).await?;
    let is_same = sibling.status == "ok"
        && sibling.workspace == dir.map(|dir| dir.display().to_string())
        && sibling.agent == Some(choice.to_string())
        && sibling.settings == resolved.digest();
    Ok(is_same.then(|| (format!("http://{addr}"), choice)))
}
