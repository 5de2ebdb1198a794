//! A server that runs: how it is started and greeted, and what it lists.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rmcp::{
    ClientHandler, RoleClient, ServiceExt as _,
    model::{ClientCapabilities, ClientConfig, Implementation, PaginatedRequestParams, Tool},
    service::{NotificationContext, Peer, RunningService},
    transport::{
        IntoTransport, StreamableHttpClientTransport,
        streamable_http_client::StreamableHttpClientTransportConfig,
    },
};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::{
    McpLimits, McpTransport,
    http::{self, HttpClient},
    process::{self, ServerProcess},
};
use crate::sandbox::process::SpawnSpec;

/// The most tools of one server, and the most pages in which it lists them.
const MOST_TOOLS: usize = 256;
const MOST_PAGES: usize = 32;

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

/// A running server. Dropping it ends it.
#[derive(Debug)]
pub(super) struct LiveServer {
    service: RunningService<RoleClient, ServerListener>,
    pub tools: Vec<Tool>,
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

impl LiveServer {
    /// Starts a server, or connects to it, and has it list its tools. `Err` says why not.
    pub async fn start(transport: &McpTransport, setup: &ServerSetup) -> Result<Self, String> {
        let limit = setup.limits.start;
        match transport {
            McpTransport::Command {
                program,
                args,
                env,
                cwd,
            } => {
                let env = process::environment(&setup.env, env);
                let cwd = cwd.as_deref().unwrap_or(Path::new("/"));
                let found = process::find(program, &env, cwd);
                let spec = SpawnSpec {
                    program: found.ok_or_else(|| format!("there is no program `{program}`"))?,
                    args: args.iter().map(Into::into).collect(),
                    env,
                    cwd: cwd.to_owned(),
                };
                let started = ServerProcess::start(&setup.program, spec, &setup.reaper);
                let (process, stdout, stdin) = started.map_err(|error| error.to_string())?;
                match Self::greet((stdout, stdin), limit).await {
                    Ok(live) => Ok(Self {
                        process: Some(process),
                        ..live
                    }),
                    Err(error) => Err(process.explain(error).await),
                }
            }
            McpTransport::Http { url, headers } => {
                if let Some(problem) = http::problem(url) {
                    return Err(problem);
                }
                let config = StreamableHttpClientTransportConfig::with_uri(url.as_str())
                    .custom_headers(http::headers(headers)?);
                let transport = StreamableHttpClientTransport::with_client(HttpClient, config);
                Self::greet(transport, limit).await
            }
        }
    }

    async fn greet<T, E, A>(transport: T, limit: Duration) -> Result<Self, String>
    where
        T: IntoTransport<RoleClient, E, A>,
        E: std::error::Error + Send + Sync + 'static,
    {
        let greeted = timeout(limit, async {
            let service = ServerListener::default().serve(transport).await;
            let service = service.map_err(|error| error.to_string())?;
            let tools = list(service.peer()).await?;
            Ok(Self {
                service,
                tools,
                process: None,
            })
        });
        let late = |_| Err(format!("it was not ready within {} s", limit.as_secs()));
        greeted.await.unwrap_or_else(late)
    }

    pub fn peer(&self) -> &Peer<RoleClient> {
        self.service.peer()
    }

    pub fn is_gone(&self) -> bool {
        self.peer().is_transport_closed()
    }

    /// Has it list its tools again if it has said that they are others.
    pub async fn refresh(&mut self, limit: Duration) -> Result<(), String> {
        let changed = &self.service.service().changed;
        if changed.swap(false, Ordering::Relaxed) {
            let listed = timeout(limit, list(self.peer())).await;
            let late = |_| Err("it does not list its tools".to_owned());
            self.tools = listed.unwrap_or_else(late)?;
        }
        Ok(())
    }

    /// What went wrong, with what the server says of it.
    pub async fn explain(&self, error: String) -> String {
        match &self.process {
            Some(process) => process.explain(error).await,
            None => error,
        }
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
