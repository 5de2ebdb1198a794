//! Answers about the server itself: what it is, takes and offers; probes and metrics.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::sync::Mutex;
use warp::{http::StatusCode, reply::Response};

use super::{App, metrics, reply};
use crate::{
    dialect::Dialect,
    engine::Engine,
    turn::{ErrorKind, TurnError},
};

/// How long that answer is used: asking takes seconds, and probes come every few seconds.
const LOGIN_KNOWN: Duration = Duration::from_secs(60);

/// The agent's last answer to whether it is logged in.
#[derive(Debug, Default)]
pub(super) struct LoginAnswer(Mutex<Option<(Instant, Option<bool>)>>);

impl LoginAnswer {
    /// `None` if the agent did not say. One request asks, others wait for its answer.
    async fn is_in(&self, engine: &Engine) -> Option<bool> {
        let mut last = self.0.lock().await;
        if let Some((asked, login)) = *last
            && asked.elapsed() < LOGIN_KNOWN
        {
            return login;
        }
        let login = engine.agent().logged_in().await;
        *last = Some((Instant::now(), login));
        login
    }
}

/// `GET /healthz`: that the process answers at all.
pub fn alive() -> Response {
    reply::value(&json!({"status": "ok"}))
}

/// `GET /readyz`: whether a request sent now can be answered.
pub async fn ready(app: &App) -> Response {
    let engine = app.engine();
    let problem = if engine.is_draining() {
        Some("stopping")
    } else if !engine.agent().exists().await {
        Some("the agent's program is missing")
    } else if !engine.has_callers() && app.login.is_in(engine).await == Some(false) {
        Some("the agent is not logged in")
    } else {
        None
    };
    let (code, body) = match problem {
        None => (StatusCode::OK, json!({"status": "ready"})),
        Some(problem) => (
            StatusCode::SERVICE_UNAVAILABLE,
            json!({"status": "not ready", "problem": problem}),
        ),
    };
    reply::json(code, body.to_string().into())
}

/// `GET /metrics`.
///
/// # Errors
/// `Internal`, if the text can't be written.
pub fn metrics(app: &App) -> Result<Response, TurnError> {
    let text = app.listeners.metrics.text(app.engine(), app.history());
    let text = text.map_err(|error| {
        TurnError::new(
            ErrorKind::Internal,
            format!("cannot write the metrics: {error}"),
        )
    })?;
    Ok(reply::typed(metrics::CONTENT_TYPE, text))
}

/// `GET /v1/parameters`: what becomes of each parameter of each dialect.
pub(super) fn parameters(dialects: &[Arc<dyn Dialect>]) -> Response {
    let data: Vec<_> = dialects
        .iter()
        .map(|dialect| json!({"path": dialect.path(), "parameters": dialect.parameters()}))
        .collect();
    reply::value(&json!({"object": "list", "data": data}))
}

/// `GET /v1/tools`: the tools that the server executes, which requests may name.
pub(super) async fn tools(app: &App) -> Response {
    let tools = app.engine().server_tools().await;
    let data: Vec<_> = tools
        .iter()
        .map(|(tool, needs_confirmation)| {
            json!({
                "object": "tool",
                "name": tool.spec.name,
                "description": tool.spec.description,
                "schema": &*tool.spec.schema,
                "source": tool.source,
                "only_reads": tool.only_reads,
                "needs_confirmation": needs_confirmation,
            })
        })
        .collect();
    reply::value(&json!({"object": "list", "data": data}))
}

/// `GET /health`: that this is open-cursor and, for those who may know, what it runs.
pub(super) fn health(app: &App, trusted: bool) -> Response {
    let engine = app.engine();
    let (status, code) = if engine.is_draining() {
        ("stopping", StatusCode::SERVICE_UNAVAILABLE)
    } else {
        ("ok", StatusCode::OK)
    };
    let mut body = json!({
        "name": env!("CARGO_PKG_NAME"),
        "status": status,
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
    });
    if trusted {
        let workspace = engine.workspace();
        body["workspace"] = workspace.map(|dir| dir.display().to_string()).into();
        body["agent"] = engine.agent().to_string().into();
        body["agentKind"] = engine.agent().kind().into();
        if engine.agent().kind() == "bridge" {
            body["bridge"] = json!(engine.agent().bridge());
        }
        body["fence"] = json!(engine.agent().fence());
        body["settings"] = app.config().settings.as_str().into();
        body["running"] = engine.running().into();
        body["queued"] = engine.queued().into();
        body["parked"] = engine.parked().into();
        body["turns"] = engine.turns().name().into();
        body["carrier"] = engine.carrier().into();
        body["carrierProblem"] = engine.agent().serving_problem().into();
        if let Some(toolbox) = engine.toolbox() {
            body["mcp"] = json!(toolbox.mcp_health());
        }
        body["recoveredCalls"] = engine.recovered().into();
    }
    reply::json(code, body.to_string().into_bytes())
}
