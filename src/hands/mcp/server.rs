//! One server: started when it is needed, asked, and started again after it has died.

use std::{sync::Mutex, time::Duration};

use rmcp::model::{CallToolRequestParams, Tool};
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout};

use super::{
    McpServerConfig,
    live::{LiveServer, ServerSetup},
};
use crate::{sandbox::redact::redact, threads::lock};

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
        lock(&self.health).clone()
    }

    /// Its tools. It is started if it does not run.
    pub async fn tools(&self) -> Result<Vec<Tool>, String> {
        let mut state = self.state.lock().await;
        let live = self.live(&mut state).await?;
        if let Err(error) = live.refresh(self.setup.limits.start).await {
            tracing::warn!(server = self.config.name, error, "old tools stay");
        }
        lock(&self.health).tools = live.tools.len();
        Ok(live.tools.clone())
    }

    /// Calls a tool. `Err` says why there is no answer.
    pub async fn call(&self, tool: &str, arguments: Map<String, Value>) -> Result<Value, String> {
        let peer = {
            let mut state = self.state.lock().await;
            self.live(&mut state).await?.peer().clone()
        };
        let params = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        let limit = self.setup.limits.call;
        let error = match timeout(limit, peer.call_tool(params)).await {
            Ok(Ok(answer)) => {
                return serde_json::to_value(answer).map_err(|error| error.to_string());
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("request timed out after {} s", limit.as_secs()),
        };
        if !peer.is_transport_closed() {
            return Err(error);
        }
        let mut state = self.state.lock().await;
        let error = match &state.live {
            Some(live) => live.explain(error).await,
            None => error,
        };
        if state.live.take_if(|live| live.is_gone()).is_some() {
            self.failed(&error);
        }
        Err(error)
    }

    /// Ends it.
    pub async fn close(&self) {
        self.state.lock().await.live = None;
        lock(&self.health).state = "idle";
    }

    /// The running server; started now if there is none.
    async fn live<'a>(&self, state: &'a mut ServerState) -> Result<&'a mut LiveServer, String> {
        let live = match state.live.take() {
            Some(live) if !live.is_gone() => live,
            Some(_) => {
                tracing::info!(
                    server = self.config.name,
                    "an MCP server has ended and is started again"
                );
                self.start(state).await?
            }
            None => self.start(state).await?,
        };
        Ok(state.live.insert(live))
    }

    async fn start(&self, state: &mut ServerState) -> Result<LiveServer, String> {
        if state.retry_at.is_some_and(|at| Instant::now() < at) {
            let error = lock(&self.health).error.clone();
            return Err(error.unwrap_or_else(|| "it can't be started".to_owned()));
        }
        lock(&self.health).starts += 1;
        let started = match &self.config.transport {
            Ok(transport) => LiveServer::start(transport, &self.setup).await,
            Err(why) => Err(why.clone()),
        };
        match &started {
            Ok(live) => {
                state.failures = 0;
                state.retry_at = None;
                let mut health = lock(&self.health);
                health.state = "running";
                health.tools = live.tools.len();
                health.error = None;
            }
            Err(error) => {
                let pause = Duration::from_secs(1 << state.failures.min(6));
                state.failures += 1;
                state.retry_at = Some(Instant::now() + pause.min(LONGEST_PAUSE));
                self.failed(error);
            }
        }
        started
    }

    fn failed(&self, error: &str) {
        tracing::warn!(server = self.config.name, error, "an MCP server failed");
        let mut health = lock(&self.health);
        health.state = "failed";
        health.tools = 0;
        health.error = Some(redact(error).into_owned());
    }
}
