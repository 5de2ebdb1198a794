//! Answers about the server itself: probes and metrics.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::Mutex;
use warp::{
    http::{HeaderValue, StatusCode, header},
    reply::Response,
};

use super::{App, metrics, reply};
use crate::{
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
    reply::json(StatusCode::OK, json!({"status": "ok"}).to_string().into())
}

/// `GET /readyz`: whether a request sent now can be answered.
pub async fn ready(app: &App) -> Response {
    let engine = app.engine();
    let problem = if engine.is_draining() {
        Some("stopping")
    } else if !engine.agent().exists().await {
        Some("the agent's program is missing")
    } else if app.login().is_in(engine).await == Some(false) {
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
    let text = app.metrics().text(app.engine(), app.history());
    let text = text.map_err(|error| {
        TurnError::new(
            ErrorKind::Internal,
            format!("cannot write the metrics: {error}"),
        )
    })?;
    Ok(typed(text, metrics::CONTENT_TYPE))
}

fn typed(body: String, content_type: &'static str) -> Response {
    let mut response = Response::new(body.into());
    let content_type = HeaderValue::from_static(content_type);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    response
}
