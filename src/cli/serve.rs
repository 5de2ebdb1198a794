//! `open-cursor serve`.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{dirs::Dirs, flags::ServeFlags, render};
use crate::{
    agent::{Agent, AgentError, Env, Setup},
    boundary, dialect,
    dump::Dumps,
    engine::{self, Budgets, Engine, Limits, Workspaces},
    file,
    http::{self, ApiKey, App, Server, ServerError, Shutdown},
    settings::{Resolved, ServeSettings, ToolLoop},
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
    #[command(flatten)]
    flags: ServeFlags,

    /// Write {"url","port","pid"} to this file once the server listens
    #[arg(long, value_name = "FILE")]
    server_info: Option<PathBuf>,
}

/// Serves until a signal.
pub async fn run(args: Args, dirs: &Dirs) -> anyhow::Result<ExitCode> {
    let resolved = dirs.settings(&args.flags.0)?;
    let settings = &resolved.settings;
    telemetry::init(&settings.log_level)
        .map_err(|error| render::usage(format_args!("--log-level: {error}")))?;
    let shutdown = shutdown_on_signals()?;
    let site = Site::find(settings).await?;
    let api_key = api_key(settings).await?;
    let app = Running::start(&resolved, site, dirs.models_cache(), api_key).await?;
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
        let workspace = workspace(settings).await?;
        let agent = settings.agent.as_deref().map(OsStr::new);
        let running = settings.max_running.get();
        let setup = Setup {
            fence: settings.fence,
            // A slot is in use until its agent is gone, which is a little longer than its turn.
            slots: running + running.div_ceil(2),
            launcher: std::env::current_exe().context("cannot find our own executable")?,
            workspace: workspace.clone(),
        };
        let agent = Agent::discover(agent, &std::env::vars_os().collect::<Env>(), setup)
            .await
            .map_err(|error| match error {
                AgentError::Missing { .. } => {
                    render::hinted(error, "`--agent replay` tries things out without Cursor")
                }
                error => error.into(),
            })?;
        Ok(Self { agent, workspace })
    }
}

/// Where the agent works, absolute and without links, if that is one place.
pub(super) async fn workspace(settings: &ServeSettings) -> anyhow::Result<Option<PathBuf>> {
    let Some(dir) = &settings.workspace else {
        return Ok(None);
    };
    let real = directory("--workspace", dir).await?;
    if real.parent().is_none() {
        return Err(render::usage(format_args!(
            "--workspace {}: is the root of the file system; name a project",
            dir.display()
        )));
    }
    Ok(Some(real))
}

/// A server that is bound and ready to run.
pub(super) struct Running {
    /// The server.
    pub server: Server,
    /// What it serves.
    pub app: Arc<App>,
}

impl Running {
    /// Binds the address. Clients must send the key, if there is one.
    pub async fn start(
        resolved: &Resolved,
        site: Site,
        models_cache: Option<PathBuf>,
        api_key: Option<ApiKey>,
    ) -> anyhow::Result<Self> {
        let settings = &resolved.settings;
        let http = http_config(resolved, api_key)?;
        let Site { agent, workspace } = site;
        let server = Server::bind(settings.host, settings.port)
            .await
            .map_err(|error| {
                let hint = match &error {
                    ServerError::InUse { by: Some(_), .. } => {
                        "it serves already: use it, or choose another --port"
                    }
                    _ => "choose another with --port, or 0 for any",
                };
                render::hinted(error, hint)
            })?;
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
            estimate_usage: settings.estimate_usage,
            turns: settings.turns,
            park_timeout: settings.park_timeout,
            boundary: boundary::Options {
                mode: settings.provider_boundary,
                auto_fallback: settings.autofallback,
                text_calls: settings.text_calls,
                max_repeat: settings.max_repeat.get(),
                native_reads: settings.native_reads,
            },
            client_tools: settings.tool_loop == ToolLoop::Client,
        };
        // Another program's models are not those of the user's account.
        let models_cache = models_cache.filter(|_| settings.agent.is_none());
        let engine = Engine::new(agent, config, models_cache);
        let dialects = dialect::all(settings.responses_store);
        let app = Arc::new(App::new(engine, http, dialects));
        Ok(Self { server, app })
    }

    /// The base URL, without `/v1`.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.addr())
    }
}

/// A directory that there is, without symlinks in its path.
async fn directory(flag: &str, dir: &Path) -> anyhow::Result<PathBuf> {
    let wrong = |why: &dyn std::fmt::Display| {
        render::usage(format_args!("{flag} {}: {why}", dir.display()))
    };
    let found = async {
        let real = tokio::fs::canonicalize(dir).await?;
        let is_dir = tokio::fs::metadata(&real).await?.is_dir();
        Ok::<_, std::io::Error>(is_dir.then_some(real))
    };
    let real = found.await.map_err(|error| wrong(&error))?;
    real.ok_or_else(|| wrong(&"is no directory"))
}

/// Where the directories lie that requests may name.
async fn bases(settings: &ServeSettings) -> anyhow::Result<Vec<PathBuf>> {
    let mut bases = Vec::new();
    for dir in &settings.workspace_base.0 {
        bases.push(directory("--workspace-base", dir).await?);
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

/// The key that the server's clients must send, if any.
async fn api_key(settings: &ServeSettings) -> anyhow::Result<Option<ApiKey>> {
    let key = match &settings.api_key_file {
        Some(file) => {
            let wrong = |why: &dyn std::fmt::Display| {
                render::usage(format_args!("--api-key-file {}: {why}", file.display()))
            };
            let text = tokio::fs::read_to_string(file).await;
            let key = ApiKey::new(&text.map_err(|error| wrong(&error))?);
            Some(key.ok_or_else(|| wrong(&"the file holds no key"))?)
        }
        // No setting: `open-cursor config` shows settings.
        None => std::env::var("CURSOR_ACP_API_KEY")
            .ok()
            .as_deref()
            .and_then(ApiKey::new),
    };
    if key.is_none() && !settings.host.is_loopback() {
        return Err(render::usage(format_args!(
            "--host {}: other machines reach this address, so clients must send a key; \
             set one with --api-key-file or CURSOR_ACP_API_KEY",
            settings.host
        )));
    }
    Ok(key)
}

fn http_config(resolved: &Resolved, api_key: Option<ApiKey>) -> anyhow::Result<http::Config> {
    let settings = &resolved.settings;
    let origins = settings.allow_origin.0.iter();
    let origins = origins.map(|origin| http::parse_origin(origin));
    let dumps = settings.dump_dir.as_ref().map(|dir| {
        Dumps::open(dir, settings.dump_keep.get())
            .map_err(|error| render::usage(format_args!("--dump-dir {}: {error}", dir.display())))
    });
    Ok(http::Config {
        stall: settings.stall_timeout,
        max_connections: settings.max_connections.get(),
        api_key,
        allowed_hosts: settings.allow_host.0.clone(),
        allowed_origins: origins
            .collect::<Result<_, _>>()
            .map_err(|error| render::usage(format_args!("--allow-origin: {error}")))?,
        dumps: dumps.transpose()?,
        settings: resolved.digest(),
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
            token.cancel();
            tracing::info!("stopping");
        }
    });
    Ok(shutdown)
}

/// Written whole or not at all: whoever waits for the file reads it at once.
fn write_server_info(path: &Path, url: &str, port: u16) -> anyhow::Result<()> {
    let info = json!({"url": url, "port": port, "pid": std::process::id()});
    file::replace(path, format!("{info}\n").as_bytes(), None)
        .with_context(|| format!("--server-info {}", path.display()))
}
