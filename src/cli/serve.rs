//! `open-cursor serve`.

use std::{
    ffi::OsStr,
    net::IpAddr,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{dirs::Dirs, render};
use crate::{
    agent::{Agent, Env, Setup, fence::FenceMode},
    boundary,
    dump::Dumps,
    engine::{self, Budgets, Engine, Limits, Workspaces},
    http::{self, ApiKey, App, Server, Shutdown},
    settings::{ServeFlags, ServeSettings},
    telemetry,
};

/// How long running turns have after the first signal.
const GRACE: Duration = Duration::from_secs(10);

/// Serve OpenAI's API on this machine, answered by Cursor's agent
///
/// Clients use http://127.0.0.1:32124/v1 as base URL, any text as API key, and `auto` or a name from
/// GET /v1/models as model. Stop with Ctrl-C: running answers have 10 s to finish.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  open-cursor serve
  open-cursor serve --port 0 --server-info /tmp/server.json
  open-cursor serve --agent ~/.local/bin/cursor-agent --workspace ~/project")]
pub struct Args {
    /// Address to listen on [default: 127.0.0.1]
    #[arg(long, value_name = "IP")]
    host: Option<IpAddr>,

    /// Port to listen on; 0 picks a free one [env: PORT] [default: 32124]
    #[arg(long, value_name = "N")]
    port: Option<u16>,

    /// Agent program, or `replay` for the built-in one [env: CURSOR_AGENT_EXECUTABLE]
    /// [default: cursor-agent or agent, on PATH or where Cursor installs it]
    #[arg(long, value_name = "PATH|replay")]
    agent: Option<String>,

    /// Directory the agent works in, where a request names none [env: CURSOR_ACP_WORKSPACE]
    /// [default: the one that the client's system prompt names, else an empty one]
    #[arg(long, value_name = "DIR")]
    workspace: Option<PathBuf>,

    /// Directory whose subdirectories requests may name as theirs; may be repeated [default: your
    /// home and the current directory]
    #[arg(long, value_name = "DIR")]
    workspace_base: Vec<PathBuf>,

    /// Don't take the working directory from the client's system prompt
    #[arg(long)]
    no_workspace_from_prompt: bool,

    /// Write {"url","port","pid"} to this file once the server listens
    #[arg(long, value_name = "FILE")]
    server_info: Option<PathBuf>,

    /// Keep the agent from changing files itself: require, auto or off
    /// [env: CURSOR_ACP_FENCE] [default: auto]
    #[arg(long, value_name = "MODE")]
    fence: Option<FenceMode>,

    /// Seconds the agent may take to its first event [default: 120]
    #[arg(long, value_name = "SECS")]
    agent_timeout: Option<u64>,

    /// Seconds the agent may be silent between two events [default: 600]
    #[arg(long, value_name = "SECS")]
    idle_timeout: Option<u64>,

    /// Seconds a whole answer may take; 0 is no limit [default: 0]
    #[arg(long, value_name = "SECS")]
    turn_timeout: Option<u64>,

    /// Seconds a client may read nothing of its answer [default: 30]
    #[arg(long, value_name = "SECS")]
    stall_timeout: Option<u64>,

    /// Requests answered at once; more wait [env: CURSOR_ACP_MAX_RUNNING] [default: 3]
    #[arg(long, value_name = "N")]
    max_running: Option<NonZeroUsize>,

    /// Requests that may wait; more get a 429 [env: CURSOR_ACP_MAX_QUEUED] [default: 32]
    #[arg(long, value_name = "N")]
    max_queued: Option<usize>,

    /// Seconds a request may wait [default: 300]
    #[arg(long, value_name = "SECS")]
    queue_timeout: Option<u64>,

    /// Connections open at once; more wait to be accepted [default: 512]
    #[arg(long, value_name = "N")]
    max_connections: Option<NonZeroUsize>,

    /// File with the API key that clients must send [env: CURSOR_ACP_API_KEY, the key itself]
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,

    /// Further name under which clients reach this server; may be repeated
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,

    /// Origin whose web pages may use this server, as in https://app.example; may be repeated
    #[arg(long, value_name = "ORIGIN", value_parser = http::parse_origin)]
    allow_origin: Vec<String>,

    /// Directory that gets the request, prompt, agent's output and answer of each turn, in full
    #[arg(long, value_name = "DIR")]
    dump_dir: Option<PathBuf>,

    /// How many turns the dump directory keeps [default: 50]
    #[arg(long, value_name = "N")]
    dump_keep: Option<NonZeroUsize>,

    /// error, warn, info, debug, trace or a filter [env: RUST_LOG] [default: info]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
}

impl Args {
    fn flags(&self) -> ServeFlags {
        ServeFlags {
            host: self.host,
            port: self.port,
            agent: self.agent.clone(),
            workspace: self.workspace.clone(),
            fence: self.fence,
            agent_timeout: self.agent_timeout,
            idle_timeout: self.idle_timeout,
            turn_timeout: self.turn_timeout,
            stall_timeout: self.stall_timeout,
            max_running: self.max_running,
            max_queued: self.max_queued,
            queue_timeout: self.queue_timeout,
            max_connections: self.max_connections,
            api_key_file: self.api_key_file.clone(),
            allow_host: self.allow_host.clone(),
            allow_origin: self.allow_origin.clone(),
            dump_dir: self.dump_dir.clone(),
            dump_keep: self.dump_keep,
            workspace_base: self.workspace_base.clone(),
            no_workspace_from_prompt: self.no_workspace_from_prompt,
            log_level: self.log_level.clone(),
        }
    }
}

/// Serves until a signal.
pub async fn run(args: Args, dirs: &Dirs) -> anyhow::Result<ExitCode> {
    let settings = ServeSettings::resolve(args.flags(), &|name| std::env::var(name).ok())
        .map_err(render::usage)?;
    telemetry::init(&settings.log_level)
        .map_err(|error| render::usage(format_args!("--log-level: {error}")))?;
    let shutdown = shutdown_on_signals()?;
    let site = Site::find(&settings).await?;
    let app = Running::start(&settings, site, dirs.models_cache()).await?;
    if let Some(path) = &args.server_info {
        write_server_info(path, &app.url(), app.server.addr().port())?;
    }
    render::note(format_args!(
        "open-cursor {} listens on {}",
        env!("CARGO_PKG_VERSION"),
        app.url()
    ));
    render::note(format_args!("agent: {}", app.app.engine().agent()));
    // Asked now, so that the first request that names a model need not wait for the answer.
    let warm = Arc::clone(&app.app);
    tokio::spawn(async move {
        let engine = warm.engine();
        tokio::join!(engine.models().list(), engine.agent().verify_login());
    });
    app.server.run(app.app, shutdown).await;
    Ok(ExitCode::SUCCESS)
}

/// What is run, and where.
pub(super) struct Site {
    /// The agent.
    pub agent: Agent,
    /// Where it works, absolute and without links, if that is one place.
    pub workspace: Option<PathBuf>,
}

impl Site {
    /// Finds both.
    pub async fn find(settings: &ServeSettings) -> anyhow::Result<Self> {
        let workspace = match &settings.workspace {
            Some(dir) => Some(canonical("--workspace", dir).await?),
            None => None,
        };
        let agent = settings.agent.as_deref().map(OsStr::new);
        let setup = Setup {
            fence: settings.fence,
            // A slot is in use until its agent is gone, which is a little longer than its turn.
            slots: settings.max_running.get() + settings.max_running.get().div_ceil(2),
            launcher: std::env::current_exe().context("cannot find our own executable")?,
            workspace: workspace.clone(),
        };
        let agent = Agent::discover(agent, &std::env::vars_os().collect::<Env>(), setup)
            .await
            .map_err(|error| {
                render::hinted(
                    error,
                    "install Cursor's CLI, or try `--agent replay` without it",
                )
            })?;
        Ok(Self { agent, workspace })
    }
}

/// A server that is bound and ready to run.
pub(super) struct Running {
    /// The server.
    pub server: Server,
    /// What it serves.
    pub app: Arc<App>,
}

impl Running {
    /// Binds the address.
    pub async fn start(
        settings: &ServeSettings,
        site: Site,
        models_cache: Option<PathBuf>,
    ) -> anyhow::Result<Self> {
        let http = http_config(settings).await?;
        let Site { agent, workspace } = site;
        let server = Server::bind(settings.host, settings.port)
            .await
            .map_err(|error| render::hinted(error, "choose another with --port, or 0 for any"))?;
        let config = engine::Config {
            workspaces: Workspaces {
                fixed: workspace,
                bases: bases(settings).await?,
                from_prompt: settings.workspace_from_prompt,
            },
            limits: Limits {
                running: settings.max_running.get(),
                queued: settings.max_queued,
                wait: settings.queue_timeout,
            },
            budgets: Budgets {
                first_event: settings.agent_timeout,
                idle: settings.idle_timeout,
                total: settings.turn_timeout,
            },
            boundary: boundary::Options::default(),
        };
        // Another program's models are not those of the user's account.
        let models_cache = models_cache.filter(|_| settings.agent.is_none());
        let engine = Engine::new(agent, config, models_cache);
        let app = Arc::new(App::new(engine, http));
        Ok(Self { server, app })
    }

    /// The base URL, without `/v1`.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.addr())
    }
}

/// A directory without symlinks in its path.
async fn canonical(flag: &str, dir: &Path) -> anyhow::Result<PathBuf> {
    tokio::fs::canonicalize(dir)
        .await
        .map_err(|error| render::usage(format_args!("{flag} {}: {error}", dir.display())))
}

/// Where the directories lie that requests may name.
async fn bases(settings: &ServeSettings) -> anyhow::Result<Vec<PathBuf>> {
    let mut bases = Vec::new();
    for dir in &settings.workspace_base {
        bases.push(canonical("--workspace-base", dir).await?);
    }
    if bases.is_empty() {
        let usual = std::env::home_dir()
            .into_iter()
            .chain(std::env::current_dir());
        for dir in usual {
            // A service's are often missing, or the root directory, which would let in everything.
            let dir = tokio::fs::canonicalize(dir).await.ok();
            bases.extend(dir.filter(|dir| dir.parent().is_some()));
        }
    }
    Ok(bases)
}

async fn http_config(settings: &ServeSettings) -> anyhow::Result<http::Config> {
    let api_key = match (&settings.api_key_file, &settings.api_key) {
        (Some(file), _) => {
            let text = tokio::fs::read_to_string(file).await.map_err(|error| {
                render::usage(format_args!("--api-key-file {}: {error}", file.display()))
            })?;
            let empty = || {
                render::usage(format_args!(
                    "--api-key-file {}: the file holds no key",
                    file.display()
                ))
            };
            Some(ApiKey::new(&text).ok_or_else(empty)?)
        }
        (None, Some(key)) => ApiKey::new(key.expose()),
        (None, None) => None,
    };
    if api_key.is_none() && !settings.host.is_loopback() {
        return Err(render::usage(format_args!(
            "--host {}: other machines reach this address, so clients must send a key; \
             set one with --api-key-file or CURSOR_ACP_API_KEY",
            settings.host
        )));
    }
    let dumps = settings.dump_dir.as_ref().map(|dir| {
        Dumps::open(dir, settings.dump_keep.get())
            .map_err(|error| render::usage(format_args!("--dump-dir {}: {error}", dir.display())))
    });
    Ok(http::Config {
        dumps: dumps.transpose()?,
        stall: settings.stall_timeout,
        max_connections: settings.max_connections.get(),
        api_key,
        allowed_hosts: settings.allow_host.clone(),
        allowed_origins: settings.allow_origin.clone(),
        ..http::Config::new(settings.host)
    })
}

/// The first SIGINT or SIGTERM drains, the second ends at once.
fn shutdown_on_signals() -> anyhow::Result<Shutdown> {
    let shutdown = Shutdown {
        drain: CancellationToken::new(),
        now: CancellationToken::new(),
        grace: GRACE,
    };
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot handle SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot handle SIGTERM")?;
    let tokens = shutdown.clone();
    tokio::spawn(async move {
        for token in [tokens.drain, tokens.now] {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            tracing::info!("stopping");
            token.cancel();
        }
    });
    Ok(shutdown)
}

/// Written whole or not at all: whoever waits for the file reads it at once.
fn write_server_info(path: &Path, url: &str, port: u16) -> anyhow::Result<()> {
    use std::io::Write as _;
    let info = json!({"url": url, "port": port, "pid": std::process::id()});
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(dir.unwrap_or_else(|| ".".as_ref()))?;
        writeln!(file, "{info}")?;
        file.persist(path)?;
        Ok(())
    };
    write().with_context(|| format!("--server-info {}", path.display()))
}
