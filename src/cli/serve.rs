//! `open-cursor serve`.

use std::{
    ffi::OsStr,
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::Context as _;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{dirs::UserDirs, flags::ServeFlags, greeting, recipes, render, users};
use crate::{
    agent::{Agent, AgentError, Env, Serving, Setup},
    boundary,
    dialect::{self, RedisAddress, Responses},
    dump::Dumps,
    engine::{
        self, AdmissionLimits, Budgets, Credentials, Engine, Exec, ToolLoop, Turns, Workspaces,
    },
    hands::{LOCAL_TOOLS, Toolbox, ToolboxSetup, mcp::McpLimits},
    history::{Ledger, LedgerReader},
    http::{self, Address, ApiKey, App, KeyRing, Server, ServerError, Shutdown},
    settings::{Dollars, Flags, Resolved, ServeSettings},
    telemetry,
};

/// How many files the server may have open, where the hard limit allows it.
const FILES: u64 = 65_536;

/// How long running turns have after the first signal.
const GRACE: Duration = Duration::from_secs(10);

/// Serve OpenAI's API on this machine, answered by Cursor's agent
///
/// Clients use http://127.0.0.1:32124/v1 as base URL, any text as API key, and `auto` or a name from
/// GET /v1/models as model. Stop with Ctrl-C: running answers have 10 s to finish. `open-cursor reload`
/// makes it read its configuration file again.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  open-cursor serve
  open-cursor serve --port 0 --server-info /tmp/server.json
  open-cursor serve --agent ~/.local/bin/cursor-agent --workspace ~/project")]
pub struct ServeArgs {
    #[command(flatten)]
    flags: ServeFlags,

    /// Write {"url","port","pid"} to this file once the server listens
    #[arg(long, value_name = "FILE")]
    server_info: Option<PathBuf>,
}

/// Serves until a signal.
pub async fn run(args: ServeArgs, dirs: &UserDirs) -> anyhow::Result<ExitCode> {
    let resolved = dirs.settings(&args.flags.0)?;
    let settings = &resolved.settings;
    telemetry::init(
        &settings.log_level,
        settings.log_format,
        settings.log_file.as_deref(),
    )
    .map_err(|error| {
        render::usage(
            format_args!("--log-file {error}"),
            "name a file in a directory that you may write to",
        )
    })?;
    let shutdown = shutdown_on_signals()?;
    let site = AgentSetup::find(settings, dirs.carriers()).await?;
    let api_key = api_key(settings).await?;
    let running = Running::start(
        &resolved,
        site,
        dirs.models_cache(),
        api_key,
        dirs.history(),
    )
    .await?;
    if let Some(path) = &args.server_info {
        write_server_info(path, &running)?;
    }
    greeting::say(&running);
    // Asked now, so that the first request that names a model need not wait for the answer.
    tokio::spawn(greeting::say_account(Arc::clone(&running.app)));
    let reload = tokio::spawn(reload_on_signals(
        args.flags.0,
        dirs.clone(),
        Arc::clone(&running.app),
        resolved,
    )?);
    running.server.run(running.app, shutdown).await;
    reload.abort();
    Ok(ExitCode::SUCCESS)
}

/// The agent and where it works.
pub(super) struct AgentSetup {
    /// The agent.
    pub agent: Agent,
    /// Where it works, absolute and without links, if that is one place.
    pub workspace: Option<PathBuf>,
}

impl AgentSetup {
    /// Finds the agent and checks the directory.
    pub async fn find(settings: &ServeSettings, carriers: Option<PathBuf>) -> anyhow::Result<Self> {
        let workspace = workspace(settings).await?;
        let agent = settings.agent.as_deref().map(OsStr::new);
        let running = settings.max_running.get();
        let setup = Setup {
            fence: settings.fence,
            limits: settings.resource_limits(),
            bridge: settings.bridge.clone(),
            slots: running,
            launcher: std::env::current_exe().context("cannot find our own executable")?,
            workspace: workspace.clone(),
            // With native reads the agent works in the client's directory, by its own tools.
            serve_tools: (settings.turns.serves_tools() && !settings.native_reads)
                .then(Serving::default),
            carriers,
        };
        let agent = Agent::discover(agent, &std::env::vars_os().collect::<Env>(), setup)
            .await
            .map_err(|error| match error {
                AgentError::Missing { .. } => {
                    render::hinted(error, "`--agent replay` tries things out without Cursor")
                }
                error => error.into(),
            })?;
        let named = settings.agent.as_deref().map(Path::new);
        // The usual name is Cursor's alone, and asking a program takes half a second.
        if named.is_some_and(|name| name.file_name() != Some(OsStr::new("cursor-agent")))
            && let Some(line) = agent.foreign_version().await
        {
            return Err(render::hinted(
                format_args!("{agent} is not Cursor's agent: its version is `{line}`"),
                "name the program `cursor-agent`, or leave --agent out to find it",
            ));
        }
        check_parking(&agent, settings.turns).await?;
        Ok(Self { agent, workspace })
    }
}

/// Whether runs can wait, where the server is not to start without.
async fn check_parking(agent: &Agent, turns: Turns) -> anyhow::Result<()> {
    if matches!(turns, Turns::Auto | Turns::Respawn) {
        return Ok(());
    }
    let served = match turns.serves_tools() {
        true => {
            agent.learn_serving().await;
            agent.serving_problem()
        }
        false => Some("--turns parked:view serves none".to_owned()),
    };
    let Some(served) = served else {
        return Ok(());
    };
    let view = &agent.fence().view;
    if turns.collects_changes() && view.holds() {
        return Ok(());
    }
    let name = turns.name();
    Err(match turns.collects_changes() {
        true if turns.serves_tools() => render::hinted(
            format_args!(
                "--turns {name}: the agent can't be given the client's tools ({served}), and it has \
                 no view of the workspace ({})",
                view.sentence
            ),
            "use --turns auto",
        ),
        true => render::hinted(
            format_args!(
                "--turns {name}: the agent has no view of the workspace: {}",
                view.sentence
            ),
            "use --turns auto",
        ),
        false => render::hinted(
            format_args!("--turns {name}: the agent can't be given the client's tools: {served}"),
            "use --turns auto, or leave --native-reads out",
        ),
    })
}

/// Where the agent works, absolute and without links, if that is one place.
pub(super) async fn workspace(settings: &ServeSettings) -> anyhow::Result<Option<PathBuf>> {
    let Some(dir) = &settings.workspace else {
        return Ok(None);
    };
    let real = directory("--workspace", dir).await?;
    if real.parent().is_none() {
        return Err(render::usage(
            format_args!(
                "--workspace {}: is the root of the file system",
                dir.display()
            ),
            "name the directory of a project",
        ));
    }
    Ok(Some(real))
}

/// A server that is bound and ready to run.
pub(super) struct Running {
    /// The server.
    pub server: Server,
    /// The application that it serves.
    pub app: Arc<App>,
}

impl Running {
    /// Binds the address. Clients must send the key, if there is one. Turns are kept in the `history`,
    /// unless the settings say otherwise.
    pub async fn start(
        resolved: &Resolved,
        site: AgentSetup,
        models_cache: Option<PathBuf>,
        api_key: Option<ApiKey>,
        history: Option<PathBuf>,
    ) -> anyhow::Result<Self> {
        let settings = &resolved.settings;
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
        let AgentSetup { agent, workspace } = site;
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
        let models_cache = models_cache.filter(|_| settings.agent.is_none());
        // The first request needs it.
        let asked = agent.clone();
        tokio::spawn(async move { asked.learn_serving().await });
        let engine = Engine::new(agent, config, models_cache);
        let dialects = dialect::all_with(responses(settings)?);
        let app = App::new(engine, http, dialects);
        let app = match history.filter(|_| settings.history) {
            Some(file) => app.with_history(Ledger::start(file).context("cannot start a thread")?),
            None => app,
        };
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
    let read = tokio::task::spawn_blocking(move || {
        let since = i64::try_from(today).unwrap_or(i64::MAX);
        LedgerReader::open(&path)?.map_or(Ok(Vec::new()), |reader| reader.spent(since))
    });
    match read.await {
        Ok(Ok(spent)) => spent,
        Ok(Err(error)) => {
            tracing::warn!(%error, "what was spent today is not known: budgets begin anew");
            Vec::new()
        }
        Err(_) => Vec::new(),
    }
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

/// An existing directory, without symlinks in its path.
async fn directory(flag: &str, dir: &Path) -> anyhow::Result<PathBuf> {
    let wrong = |why: &dyn std::fmt::Display| {
        render::usage(
            format_args!("{flag} {}: {why}", dir.display()),
            "name a directory that exists",
        )
    };
    let found = async {
        let real = tokio::fs::canonicalize(dir).await?;
        let is_dir = tokio::fs::metadata(&real).await?.is_dir();
        Ok::<_, std::io::Error>(is_dir.then_some(real))
    };
    let real = found.await.map_err(|error| wrong(&error))?;
    real.ok_or_else(|| wrong(&"is not a directory"))
}

/// The directories below which requests may name one.
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

/// What executes tools.
async fn exec(settings: &ServeSettings, workspace: Option<&Path>) -> anyhow::Result<Exec> {
    let dirs = UserDirs::new(&|name| std::env::var_os(name));
    let mcp = super::mcp::servers(settings, &dirs, workspace)?;
    let confirm = &settings.exec_confirm.0;
    let tools = &settings.exec_tools.0;
    let is_known = |name: &&String| {
        let mut servers = mcp.iter().map(|server| &server.name);
        tools.iter().any(|tool| boundary::is_same_tool(tool, name))
            || servers.any(|server| name.starts_with(server.as_str()))
    };
    if let Some(name) = confirm.iter().find(|name| !is_known(name)) {
        let all = LOCAL_TOOLS.join(", ");
        return Err(render::usage(
            format_args!(
                "--exec-confirm: `{name}` is no tool of an MCP server, and none of those that \
                 --exec-tools names"
            ),
            format!("the tools of the server are {all}"),
        ));
    }
    let setup = ToolboxSetup {
        tools: tools.clone(),
        network: settings.exec_network,
        fence: settings.fence,
        program: std::env::current_exe().context("cannot find our own executable")?,
        env: std::env::vars_os().collect(),
        workspace: workspace.map(Path::to_owned),
        mcp,
        mcp_limits: McpLimits::default(),
    };
    Ok(Exec {
        toolbox: Toolbox::open(setup).await?,
        confirm: confirm.clone(),
        max_steps: settings.exec_max_steps,
    })
}

/// The key that the server's clients must send, if any.
async fn api_key(settings: &ServeSettings) -> anyhow::Result<Option<ApiKey>> {
    let key = match &settings.api_key_file {
        Some(file) => {
            let wrong = |why: &dyn std::fmt::Display| {
                render::usage(
                    format_args!("--api-key-file {}: {why}", file.display()),
                    "name a file that holds the key and nothing else",
                )
            };
            let text = tokio::fs::read_to_string(file).await;
            let key = ApiKey::new(&text.map_err(|error| wrong(&error))?);
            Some(key.ok_or_else(|| wrong(&"the file is empty"))?)
        }
        // No setting: `open-cursor config` shows settings.
        None => std::env::var("CURSOR_ACP_API_KEY")
            .ok()
            .as_deref()
            .and_then(ApiKey::new),
    };
    let has_callers = settings.credentials == Credentials::Client;
    if has_callers && (key.is_some() || settings.keys_file.is_some()) {
        return Err(render::usage(
            "--credentials client: each request brings its caller's own Cursor API key, in the place of \
             this server's",
            "leave --api-key-file, --keys-file and CURSOR_ACP_API_KEY out",
        ));
    }
    let demands_key = key.is_some() || settings.keys_file.is_some() || has_callers;
    if !demands_key && settings.socket.is_none() && !settings.host.is_loopback() {
        return Err(render::usage(
            format_args!(
                "--host {}: other machines reach this address, so clients must send a key",
                settings.host
            ),
            "set one with --api-key-file, --keys-file or CURSOR_ACP_API_KEY",
        ));
    }
    Ok(key)
}

fn dumps(settings: &ServeSettings) -> anyhow::Result<Option<Dumps>> {
    let dumps = settings.dump_dir.as_ref().map(|dir| {
        Dumps::open(dir, settings.dump_keep.get()).map_err(|error| {
            render::usage(
                format_args!("--dump-dir {}: {error}", dir.display()),
                "name a directory that you may write to; it is made if it does not exist",
            )
        })
    });
    dumps.transpose()
}

/// The keys of clients.
async fn keys(settings: &ServeSettings) -> anyhow::Result<KeyRing> {
    let Some(file) = &settings.keys_file else {
        return Ok(KeyRing::default());
    };
    let wrong = |why: &dyn std::fmt::Display| {
        render::usage(
            format_args!("--keys-file {}: {why}", file.display()),
            "`open-cursor help endpoints` shows such a file",
        )
    };
    let text = tokio::fs::read_to_string(file).await;
    let text = text.map_err(|error| wrong(&error))?;
    let keys = KeyRing::parse(&text).map_err(|error| wrong(&error))?;
    match keys.is_empty() {
        true => Err(wrong(&"the file has no [[key]]")),
        false => Ok(keys),
    }
}

async fn http_config(
    resolved: &Resolved,
    api_key: Option<ApiKey>,
    dumps: Option<Dumps>,
) -> anyhow::Result<http::HttpConfig> {
    let settings = &resolved.settings;
    let keys = keys(settings).await?;
    let origins = settings.allow_origin.0.iter();
    let origins = origins.map(|origin| http::parse_origin(origin));
    Ok(http::HttpConfig {
        stall: settings.stall_timeout,
        max_connections: settings.max_connections.get(),
        max_body_memory: settings.max_body_memory.get() << 20,
        allowed_users: users::allowed(
            settings,
            api_key.is_some() || !keys.is_empty() || settings.credentials == Credentials::Client,
        )?,
        api_key,
        keys,
        daily_budget: settings.daily_budget.map(Dollars::amount),
        max_tokens_per_turn: settings.max_tokens_per_turn.map(|most| most.get() as u64),
        fallback_models: settings.fallback_models.0.clone(),
        allowed_hosts: settings.allow_host.0.clone(),
        allowed_origins: origins.collect::<Result<_, _>>().map_err(|error| {
            render::usage(
                format_args!("--allow-origin: {error}"),
                "write it as in https://app.example",
            )
        })?,
        dumps,
        recipes: recipes::all(),
        settings: resolved.digest(),
        ..http::HttpConfig::new(settings.host)
    })
}

/// Reloads the settings at each SIGUSR1. If one is invalid, all stay.
fn reload_on_signals(
    flags: Flags,
    dirs: UserDirs,
    app: Arc<App>,
    mut current: Resolved,
) -> anyhow::Result<impl Future<Output = ()>> {
    let mut reload = signal(SignalKind::user_defined1()).context("cannot handle SIGUSR1")?;
    Ok(async move {
        while reload.recv().await.is_some() {
            match reloaded(&flags, &dirs, &app, &current).await {
                Ok(new) => current = new,
                Err(error) => tracing::error!("settings were not reloaded: {error:#}"),
            }
        }
    })
}

async fn reloaded(
    flags: &Flags,
    dirs: &UserDirs,
    app: &App,
    current: &Resolved,
) -> anyhow::Result<Resolved> {
    let new = dirs.settings(flags)?;
    let (taken, rest) = current.changes(&new);
    let is_new = |name: &str| taken.contains(&name);
    let dumps = if is_new("dump-dir") || is_new("dump-keep") {
        dumps(&new.settings)?
    } else {
        app.config().dumps.clone()
    };
    // The file's content may be new where its name is not.
    let api_key = api_key(&new.settings).await?;
    let config = http_config(&new, api_key, dumps).await?;
    app.configure(http::HttpConfig {
        bound: app.config().bound,
        settings: current.digest(),
        ..config
    });
    telemetry::show(&new.settings.log_level);
    tracing::info!(changed = taken.join(", "), "settings were reloaded");
    if !rest.is_empty() {
        tracing::warn!(settings = rest.join(", "), "changed, but need a restart");
    }
    Ok(new)
}

/// The first SIGINT, SIGTERM or SIGHUP drains, the second ends at once.
fn shutdown_on_signals() -> anyhow::Result<Shutdown> {
    let shutdown = Shutdown {
        drain: CancellationToken::new(),
        now: CancellationToken::new(),
        grace: GRACE,
    };
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot handle SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot handle SIGTERM")?;
    let mut hangup = signal(SignalKind::hangup()).context("cannot handle SIGHUP")?;
    let tokens = shutdown.clone();
    tokio::spawn(async move {
        for token in [tokens.drain, tokens.now] {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            token.cancel();
            tracing::info!("stopping");
        }
    });
    Ok(shutdown)
}

/// Writes the file atomically: programs read it as soon as it exists.
fn write_server_info(path: &Path, running: &Running) -> anyhow::Result<()> {
    let (port, socket) = match running.server.address() {
        Address::Tcp(addr) => (Some(addr.port()), None),
        Address::Unix(socket) => (None, Some(socket)),
    };
    let info = json!({
        "url": running.url(), "port": port, "socket": socket, "pid": std::process::id(),
    });
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let written = tempfile::NamedTempFile::new_in(dir.unwrap_or(Path::new("."))).and_then(|file| {
        writeln!(&file, "{info}")?;
        // Not synced: it is worth nothing after a crash.
        file.persist(path).map_err(|error| error.error)
    });
    written
        .map(drop)
        .with_context(|| format!("--server-info {}", path.display()))
}
