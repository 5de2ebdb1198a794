//! One server: started when it is needed, asked, and started again after it has died.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rmcp::{
    ClientHandler, RoleClient, ServiceExt as _,
    model::{
        CallToolRequestParams, ClientCapabilities, ClientConfig, Implementation,
        PaginatedRequestParams, Tool,
    },
    service::{NotificationContext, Peer, RunningService},
    transport::{
        StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig,
    },
};
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;

use super::{
    config::{McpServerConfig, McpTransport},
    http::{self, HttpClient},
    process::{self, ServerProcess},
};
use crate::sandbox::{process::SpawnSpec, redact::redact};

/// The most tools of one server, and the most pages in which it lists them.
const MOST_TOOLS: usize = 256;
const MOST_PAGES: usize = 32;

/// The longest time until a server that can't be started is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How long a server may take.
#[derive(Debug, Clone, Copy)]
pub struct McpLimits {
    /// To start and list its tools: a package may have to be fetched first.
    pub start: Duration,
    /// For one call.
    pub call: Duration,
}

impl Default for McpLimits {
    fn default() -> Self {
        Self {
            start: Duration::from_secs(30),
            call: Duration::from_secs(300),
        }
    }
}

/// How a server is, for `/health`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct McpHealth {
    /// Its name.
    pub name: String,
    /// The source that names it.
    pub source: &'static str,
    /// `idle` until it is needed, `running`, or `failed`.
    pub state: &'static str,
    /// How many tools it has.
    pub tools: usize,
    /// How often it was started.
    pub starts: u32,
    /// What went wrong last.
    pub error: Option<String>,
}

/// What all servers need.
#[derive(Debug, Clone)]
pub(super) struct ServerSetup {
    /// Our own executable.
    pub program: PathBuf,
    /// What of our environment a command gets.
    pub env: Vec<(OsString, OsString)>,
    pub limits: McpLimits,
    pub reaper: TaskTracker,
}

/// A server.
#[derive(Debug)]
pub(super) struct SupervisedServer {
    pub config: McpServerConfig,
    setup: ServerSetup,
    /// Held while it is started, so that it is started once.
    state: tokio::sync::Mutex<ServerState>,
    health: Mutex<McpHealth>,
}

#[derive(Debug, Default)]
struct ServerState {
    live: Option<LiveServer>,
    failures: u32,
    retry_at: Option<Instant>,
}

#[derive(Debug)]
struct LiveServer {
    service: RunningService<RoleClient, ServerListener>,
    tools: Vec<Tool>,
    process: Option<ServerProcess>,
}

/// Hears what a server says by itself.
#[derive(Debug, Clone, Default)]
struct ServerListener {
    /// Whether its tools are others than those that it listed.
    changed: Arc<AtomicBool>,
}

impl ClientHandler for ServerListener {
    fn get_info(&self) -> ClientConfig {
        let us = Implementation::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        ClientConfig::new(ClientCapabilities::default(), us)
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changed.store(true, Ordering::Relaxed);
    }
}

impl SupervisedServer {
    pub fn new(config: McpServerConfig, setup: ServerSetup) -> Self {
        let health = McpHealth {
            name: config.name.clone(),
            source: config.source,
            state: "idle",
            tools: 0,
            starts: 0,
            error: None,
        };
        Self {
            config,
            setup,
            state: tokio::sync::Mutex::default(),
            health: Mutex::new(health),
        }
    }

    pub fn health(&self) -> McpHealth {
        self.locked().clone()
    }

    /// Its tools. It is started if it does not run.
    pub async fn tools(&self) -> Result<Vec<Tool>, String> {
        let mut state = self.state.lock().await;
        let live = self.live(&mut state).await?;
        if live
            .service
            .service()
            .changed
            .swap(false, Ordering::Relaxed)
        {
            let listed = timeout(self.setup.limits.start, list(live.service.peer())).await;
            match listed.unwrap_or_else(|_| Err("it does not list its tools".to_owned())) {
                Ok(tools) => live.tools = tools,
                Err(error) => tracing::warn!(server = self.config.name, error, "old tools stay"),
            }
            self.locked().tools = live.tools.len();
        }
        Ok(live.tools.clone())
    }

    /// Calls a tool. `Err` says why there is no answer.
    pub async fn call(&self, tool: &str, arguments: Map<String, Value>) -> Result<Value, String> {
        let peer = {
            let mut state = self.state.lock().await;
            self.live(&mut state).await?.service.peer().clone()
        };
        let params = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        let limit = self.setup.limits.call;
        let answer = match timeout(limit, peer.call_tool(params)).await {
            Ok(Ok(answer)) => serde_json::to_value(answer).map_err(|error| error.to_string()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("request timed out after {} s", limit.as_secs())),
        };
        match answer {
            Err(error) if peer.is_transport_closed() => {
                let mut state = self.state.lock().await;
                let words = state.live.as_ref().and_then(|live| live.process.as_ref());
                let words = match words {
                    Some(process) => process.last_words().await,
                    None => String::new(),
                };
                let error = joined(&error, &words);
                if state
                    .live
                    .take_if(|live| {
                        live.service.is_closed() || live.service.peer().is_transport_closed()
                    })
                    .is_some()
                {
                    self.failed(&error);
                }
                Err(error)
            }
            answer => answer,
        }
    }

    /// Ends it.
    pub async fn close(&self) {
        self.state.lock().await.live = None;
        self.locked().state = "idle";
    }

    /// The running server; started now if there is none.
    async fn live<'a>(&self, state: &'a mut ServerState) -> Result<&'a mut LiveServer, String> {
        let is_gone = |live: &LiveServer| live.service.peer().is_transport_closed();
        if state.live.as_ref().is_some_and(is_gone) {
            tracing::info!(
                server = self.config.name,
                "an MCP server has ended and is started again"
            );
            state.live = None;
        }
        if state.live.is_none() {
            if state.retry_at.is_some_and(|at| Instant::now() < at) {
                let error = self.locked().error.clone();
                return Err(error.unwrap_or_else(|| "it can't be started".to_owned()));
            }
            self.locked().starts += 1;
            match self.start().await {
                Ok(live) => {
                    state.failures = 0;
                    state.retry_at = None;
                    let mut health = self.locked();
                    health.state = "running";
                    health.tools = live.tools.len();
                    health.error = None;
                    drop(health);
                    state.live = Some(live);
                }
                Err(error) => {
                    let pause = Duration::from_secs(1 << state.failures.min(6));
                    state.failures += 1;
                    state.retry_at = Some(Instant::now() + pause.min(LONGEST_PAUSE));
                    self.failed(&error);
                    return Err(error);
                }
            }
        }
        state
            .live
            .as_mut()
            .ok_or_else(|| "it does not run".to_owned())
    }

    async fn start(&self) -> Result<LiveServer, String> {
        let transport = self.config.transport.as_ref().map_err(String::clone)?;
        let limit = self.setup.limits.start;
        let late = |_| format!("it was not ready within {} s", limit.as_secs());
        match transport {
            McpTransport::Command {
                program,
                args,
                env,
                cwd,
            } => {
                let env = process::environment(&self.setup.env, env);
                let cwd = cwd.as_deref().unwrap_or(Path::new("/"));
                let found = process::find(program, &env, cwd);
                let spec = SpawnSpec {
                    program: found.ok_or_else(|| format!("there is no program `{program}`"))?,
                    args: args.iter().map(Into::into).collect(),
                    env,
                    cwd: cwd.to_owned(),
                };
                let started =
                    ServerProcess::start(&self.setup.program, spec, self.setup.reaper.clone());
                let (process, stdout, stdin) = started.map_err(|error| error.to_string())?;
                let greeted = timeout(limit, async {
                    let service = ServerListener::default().serve((stdout, stdin)).await;
                    let service = service.map_err(|error| error.to_string())?;
                    let tools = list(service.peer()).await?;
                    Ok::<_, String>((service, tools))
                });
                let greeted = greeted.await.map_err(late).and_then(|greeted| greeted);
                let (service, tools) = match greeted {
                    Ok(greeted) => greeted,
                    Err(error) => return Err(joined(&error, &process.last_words().await)),
                };
                Ok(LiveServer {
                    service,
                    tools,
                    process: Some(process),
                })
            }
            McpTransport::Http { url, headers } => {
                if let Some(problem) = http::problem(url) {
                    return Err(problem);
                }
                let config = StreamableHttpClientTransportConfig::with_uri(url.as_str())
                    .custom_headers(http::headers(headers)?);
                let transport = StreamableHttpClientTransport::with_client(HttpClient, config);
                let greeted = timeout(limit, async {
                    let service = ServerListener::default().serve(transport).await;
                    let service = service.map_err(|error| error.to_string())?;
                    let tools = list(service.peer()).await?;
                    Ok::<_, String>((service, tools))
                });
                let (service, tools) = greeted.await.map_err(late).and_then(|greeted| greeted)?;
                Ok(LiveServer {
                    service,
                    tools,
                    process: None,
                })
            }
        }
    }

    fn failed(&self, error: &str) {
        tracing::warn!(server = self.config.name, error, "an MCP server failed");
        let mut health = self.locked();
        health.state = "failed";
        health.tools = 0;
        health.error = Some(redact(error).into_owned());
    }

    fn locked(&self) -> MutexGuard<'_, McpHealth> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All tools, page by page.
async fn list(peer: &Peer<RoleClient>) -> Result<Vec<Tool>, String> {
    let mut tools = Vec::new();
    let mut cursor = None;
    for _ in 0..MOST_PAGES {
        let params = PaginatedRequestParams::default().with_cursor(cursor);
        let page = peer.list_tools(Some(params)).await;
        let page = page.map_err(|error| format!("it does not list its tools: {error}"))?;
        tools.extend(page.tools);
        cursor = page.next_cursor;
        if cursor.is_none() || tools.len() >= MOST_TOOLS {
            break;
        }
    }
    tools.truncate(MOST_TOOLS);
    Ok(tools)
}

fn joined(error: &str, words: &str) -> String {
    if words.is_empty() {
        error.to_owned()
    } else {
        format!("{error}: {words}")
    }
}
