//! A server from its settings: bound, and ready to run.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Context as _;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::{
    access::{dumps, http_config},
    executor::exec,
    place::{agent, bases, workspace},
};
use crate::{
    boundary,
    cli::{dirs::ServerFiles, render, requests},
    dialect::{self, RedisAddress, Responses},
    engine::{self, AdmissionLimits, Budgets, Credentials, Engine, ToolLoop, Workspaces},
    history::Ledger,
    http::{Address, ApiKey, App, Server, ServerError},
    settings::{Resolved, ServeSettings},
};

/// How many files the server may have open, where the hard limit allows it.
const FILES: u64 = 65_536;

/// A server that is bound and ready to run.
pub(in crate::cli) struct Running {
    /// The server.
    pub server: Server,
    /// The application that it serves.
    pub app: Arc<App>,
}

impl Running {
    /// Finds the agent, and binds the address. Clients must send the key, if there is one. Turns are
    /// kept in the history, unless the settings say otherwise.
    pub async fn start(
        resolved: &Resolved,
        files: ServerFiles,
        api_key: Option<ApiKey>,
    ) -> anyhow::Result<Self> {
        let settings = &resolved.settings;
        let workspace = workspace(settings).await?;
        let agent = agent(settings, workspace.clone(), files.carriers).await?;
        let dumps = dumps(settings)?;
        // The clients of `run` send the key of its server.
        let has_callers = settings.credentials == Credentials::Client && api_key.is_none();
        if has_callers && settings.tool_loop == ToolLoop::Server {
            return Err(render::usage(
                "--credentials client: this server executes no tools for callers that Cursor alone \
                 knows",
                "use --tool-loop-mode opencode",
            ));
        }
        let http = http_config(resolved, api_key, dumps).await?;
        raise_file_limit();
        let server = bind(settings).await?;
        let exec = match settings.tool_loop {
            ToolLoop::Server => Some(exec(settings, workspace.as_deref()).await?),
            _ => None,
        };
        let config = engine::EngineConfig {
            workspaces: Workspaces {
                fixed: workspace,
                bases: bases(settings).await?,
                from_prompt: settings.workspace_from_prompt,
            },
            limits: limits(settings.max_running.get(), settings),
            budgets: Budgets {
                first_event: settings.agent_timeout,
                idle: settings.idle_timeout,
                total: settings.turn_timeout,
            },
            estimate_usage: settings.estimate_usage,
            turns: settings.turns,
            park_timeout: settings.park_timeout,
            boundary: boundary::BoundaryOptions {
                mode: settings.provider_boundary,
                auto_fallback: settings.autofallback,
                text_calls: settings.text_calls,
                max_repeat: settings.max_repeat.get(),
                native_reads: settings.native_reads,
            },
            client_tools: settings.tool_loop != ToolLoop::Off,
            exec,
            callers: has_callers.then(|| limits(settings.max_per_caller.get(), settings)),
        };
        // Another program's models are not those of the user's account.
        let models_cache = files.models_cache.filter(|_| settings.agent.is_none());
        // The first request needs it.
        let asked = agent.clone();
        tokio::spawn(async move { asked.learn_serving().await });
        let engine = Engine::new(agent, config, models_cache);
        let dialects = dialect::all_with(responses(settings)?);
        let history = files
            .history
            .filter(|_| settings.history)
            .map(Ledger::start);
        let history = history.transpose().context("cannot start a thread")?;
        let app = App::new(engine, http, dialects, history);
        app.spent_earlier(spent_today(&app).await);
        let app = Arc::new(app);
        Ok(Self { server, app })
    }

    /// The address of a server that listens on one.
    pub fn addr(&self) -> anyhow::Result<SocketAddr> {
        match self.server.address() {
            Address::Tcp(addr) => Ok(*addr),
            Address::Unix(path) => anyhow::bail!("the server listens on {}", path.display()),
        }
    }

    /// The base URL, without `/v1`.
    pub fn url(&self) -> String {
        match self.server.address() {
            Address::Tcp(addr) => format!("http://{addr}"),
            Address::Unix(_) => "http://localhost".to_owned(),
        }
    }
}

/// OpenAI's Responses with its store.
fn responses(settings: &ServeSettings) -> anyhow::Result<Responses> {
    if settings.responses_store == 0 || settings.store == "memory" {
        return Ok(Responses::new(settings.responses_store));
    }
    // No setting: `open-cursor config` shows settings.
    let password = std::env::var("CURSOR_ACP_STORE_PASSWORD").ok();
    RedisAddress::new(&settings.store, password.as_deref())
        .and_then(Responses::shared)
        .map_err(|error| {
            render::usage(
                format_args!("--store: {error}"),
                "use `memory`, or the address of a Redis as in redis://host:6379",
            )
        })
}

/// So many run, and the rest is the same for all.
fn limits(running: usize, settings: &ServeSettings) -> AdmissionLimits {
    AdmissionLimits {
        running,
        queued: settings.max_queued,
        wait: settings.queue_timeout,
    }
}

/// What turns of this day cost so far, as the history tells.
async fn spent_today(app: &App) -> Vec<(Option<String>, f64)> {
    let Some(path) = app.history().map(|history| history.path().to_owned()) else {
        return Vec::new();
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let today = now.unwrap_or_default().as_secs() / 86_400 * 86_400_000;
    let since = i64::try_from(today).unwrap_or(i64::MAX);
    let spent = requests::read(&path, move |reader| reader.spent(since)).await;
    spent.unwrap_or_else(|error| {
        tracing::warn!(%error, "what was spent today is not known: budgets begin anew");
        Vec::new()
    })
}

/// Raises the soft limit of open files: many systems set it to 1024 for the sake of old programs, and
/// each run and each connection takes some.
fn raise_file_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        let wanted = hard.min(FILES);
        if soft < wanted {
            setrlimit(Resource::RLIMIT_NOFILE, wanted, hard)?;
        }
        Ok(())
    });
    if let Err(error) = raised {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

async fn bind(settings: &ServeSettings) -> anyhow::Result<Server> {
    let bound = match &settings.socket {
        Some(path) => Server::bind_socket(path).await,
        None => Server::bind(settings.host, settings.port).await,
    };
    bound.map_err(|error| {
        let hint = match &error {
            ServerError::InUse { by: Some(_), .. } => {
                "open-cursor is already running there; use it, or choose another --port"
            }
            _ if settings.socket.is_some() => "choose another path with --socket",
            _ => "choose another with --port, or 0 for any",
        };
        render::hinted(error, hint)
    })
}
