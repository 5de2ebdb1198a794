//! `open-cursor run`.

use std::{
    ffi::{OsStr, OsString},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{
    attached,
    dirs::Dirs,
    flags::RunFlags,
    render,
    serve::{Running, Site, workspace},
};
use crate::{
    agent::{Env, Program, discover},
    clients::{CLIENTS, Client, Endpoint},
    http::{self, Shutdown},
    models::{Catalog, Listing, Origin},
    settings::Resolved,
    telemetry,
};

/// The key that clients get: they want one, and the server asks for none.
const KEY: &str = "open-cursor";

/// Run a client on Cursor's models, without any set-up
///
/// Starts a server on a free port, or uses the one that runs already for this directory, tells the
/// command by its environment alone where that is, and ends with it. No file of yours is written. OpenCode,
/// Claude Code, Codex and Aider are known by name; every other command gets the variables of
/// OpenAI's and Anthropic's SDKs.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  open-cursor run -- opencode
  open-cursor run -- opencode run \"What does this project do?\"
  open-cursor run --client opencode -- npx opencode-ai
  open-cursor run --model gpt-5.5 -- aider
  open-cursor run -- python my_openai_script.py
  open-cursor run --agent replay -- env

The exit code is that of the command, 128 more than a signal that ended it, 127 if there is no such
command and 126 if it can't be started. CURSOR_ACP_REUSE_EXISTING_PROXY=false always starts a server.")]
pub struct Args {
    /// Model to begin with; the client may choose others [default: the client's, else auto]
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,

    /// Treat the command as this client, where its name does not say so
    #[arg(long, value_name = "CLIENT", value_parser = clap::builder::PossibleValuesParser::new(
        CLIENTS.iter().map(|client| client.name)))]
    client: Option<String>,

    #[command(flatten)]
    flags: RunFlags,

    /// Show the server's log on stderr: error, warn, info, debug, trace or a filter
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<telemetry::Filter>,

    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// Runs the command, with a server for as long as it takes.
pub async fn run(args: Args, dirs: &Dirs) -> anyhow::Result<ExitCode> {
    let env = |name: &str| std::env::var(name).ok();
    if let Some(level) = &args.log_level {
        telemetry::init(level, telemetry::Format::Text, None)?;
    }
    let mut resolved = dirs.settings(&args.flags.0)?;
    // One client, started here.
    let workspace = &mut resolved.settings.workspace;
    workspace.get_or_insert_with(|| ".".into());
    let (program, rest) = args.command.split_first().context("there is no command")?;
    let client = match &args.client {
        Some(name) => CLIENTS.iter().find(|client| client.name == name),
        None => None,
    };
    let client = client.unwrap_or_else(|| Client::of(Path::new(program)));

    let backend = Backend::open(resolved).await?;
    let listing = if client.wants_models {
        Some(backend.listing().await)
    } else {
        None
    };
    let setup = client
        .setup(&Endpoint {
            url: &backend.url,
            key: KEY,
            model: args.model.as_deref(),
            listing: listing.as_deref(),
            env: &env,
            opencode: &dirs.opencode,
        })
        .map_err(render::usage)?;

    let mut command = tokio::process::Command::new(program);
    command.args(setup.args).args(rest).envs(setup.set);
    for name in setup.unset {
        command.env_remove(name);
    }
    let ended = attached::run(command).await;
    backend.close().await;
    let code = ended.unwrap_or_else(|error| {
        render::note(format_args!(
            "error: cannot run {}: {error}",
            program.display()
        ));
        attached::refusal(&error)
    });
    Ok(ExitCode::from(code))
}

/// The server that the command uses.
struct Backend {
    url: String,
    models: Models,
    own: Option<(JoinHandle<()>, Shutdown)>,
}

/// Where the list of models comes from.
enum Models {
    Server(Arc<http::App>),
    Agent(Catalog),
}

impl Backend {
    /// The server that runs already, if it would answer as one of ours; else one of ours.
    async fn open(mut resolved: Resolved) -> anyhow::Result<Self> {
        if let Some((url, program)) = reusable(&resolved).await? {
            let list = move || {
                let program = program.clone();
                async move { program.models(&process_env().for_agent(&[])).await }
            };
            return Ok(Self {
                url,
                models: Models::Agent(Catalog::new(list, None)),
                own: None,
            });
        }
        resolved.settings.host = IpAddr::V4(Ipv4Addr::LOCALHOST);
        resolved.settings.port = 0;
        resolved.settings.socket = None;
        // The command's directory is what it works on, unless a setting says otherwise.
        if resolved.settings.workspace.is_none() {
            resolved.settings.workspace = std::env::current_dir().ok();
        }
        let site = Site::find(&resolved.settings).await?;
        let running = Running::start(&resolved, site, None, None).await?;
        let shutdown = Shutdown {
            drain: CancellationToken::new(),
            now: CancellationToken::new(),
            grace: Duration::ZERO,
        };
        let url = running.url();
        let app = Arc::clone(&running.app);
        let server = tokio::spawn(running.server.run(running.app, shutdown.clone()));
        Ok(Self {
            url,
            models: Models::Server(app),
            own: Some((server, shutdown)),
        })
    }

    async fn listing(&self) -> Arc<Listing> {
        let listing = match &self.models {
            Models::Server(app) => app.engine().models().list().await,
            Models::Agent(catalog) => catalog.list().await,
        };
        if let (Some(problem), Origin::Builtin) = (&listing.problem, listing.origin) {
            render::note(format_args!("note: only `auto` is offered: {problem}"));
        }
        listing
    }

    /// Ends the server, if it is ours, and whatever it still runs.
    async fn close(self) {
        if let Some((server, shutdown)) = self.own {
            shutdown.now.cancel();
            let _ = server.await;
        }
    }
}

/// The URL of the server at the usual address, and its agent, if it is one of ours, of this version,
/// with the same agent, directory and settings.
async fn reusable(resolved: &Resolved) -> anyhow::Result<Option<(String, Program)>> {
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
            "note: {sibling} on {addr} is another version; starting a server of this one"
        ));
        return Ok(None);
    }
    let explicit = settings.agent.as_deref().map(OsStr::new);
    let program = discover(explicit, &process_env()).await?;
    let dir = workspace(settings).await?;
    let is_same = sibling.status == "ok"
        && sibling.workspace == dir.map(|dir| dir.display().to_string())
        && sibling.agent == Some(program.to_string())
        && sibling.settings == resolved.digest();
    Ok(is_same.then(|| (format!("http://{addr}"), program)))
}

fn process_env() -> Env {
    std::env::vars_os().collect()
}
