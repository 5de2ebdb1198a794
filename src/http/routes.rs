//! Methods and paths.

use std::{net::IpAddr, path::Path, sync::Arc, time::Duration};

use bytes::Buf;
use futures::Stream;
use serde_json::json;
use warp::{
    Filter,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    path::FullPath,
    reply::Response,
};

use super::{chat, models, origin, reply};
use crate::{
    dialect::{DIALECTS, Dialect},
    engine::Engine,
    turn::{ErrorKind, TurnError},
};

/// What the routes need.
pub struct App {
    engine: Engine,
    config: Config,
}

/// How the server treats its clients.
#[derive(Debug, Clone)]
pub struct Config {
    /// The address that the server was told to listen on.
    pub bound: IpAddr,
    /// How long a client may read nothing of its answer.
    pub stall: Duration,
    /// The settings, as a digest: whether another server would answer alike.
    pub settings: String,
}

impl App {
    /// Serves what the engine answers.
    #[must_use]
    pub fn new(engine: Engine, config: Config) -> Self {
        Self { engine, config }
    }

    /// Answers requests.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }
}

/// What a path leads to.
enum Route {
    Answer(&'static dyn Dialect),
    Models,
    Model(String),
    Health,
}

impl Route {
    /// Every path also exists without `/v1`, which some clients leave out of their base URL.
    fn find(path: &str) -> Option<Self> {
        let path = path.strip_prefix("/v1").unwrap_or(path);
        let path = path.strip_suffix('/').unwrap_or(path);
        if let Some(dialect) = DIALECTS.iter().find(|dialect| dialect.path() == path) {
            return Some(Self::Answer(*dialect));
        }
        match path {
            "/models" => Some(Self::Models),
            "/health" => Some(Self::Health),
            _ => {
                let id = path.strip_prefix("/models/")?;
                (!id.is_empty()).then(|| Self::Model(percent_decode(id)))
            }
        }
    }

    fn method(&self) -> Method {
        match self {
            Self::Answer(_) => Method::POST,
            Self::Models | Self::Model(_) | Self::Health => Method::GET,
        }
    }

    /// The dialect in which errors are told.
    fn dialect(&self) -> &'static dyn Dialect {
        match self {
            Self::Answer(dialect) => *dialect,
            _ => DIALECTS[0],
        }
    }
}

/// All routes as one filter that never rejects.
pub fn routes(
    app: Arc<App>,
) -> impl Filter<Extract = (Response,), Error = warp::Rejection> + Clone + Send + Sync + 'static {
    warp::method()
        .and(warp::path::full())
        .and(warp::header::headers_cloned())
        .and(warp::body::stream())
        .and_then(move |method, path, headers, body| {
            let app = Arc::clone(&app);
            async move { dispatch(&app, method, path, headers, body).await }
        })
}

async fn dispatch<B: Buf>(
    app: &App,
    method: Method,
    path: FullPath,
    headers: HeaderMap,
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Result<Response, warp::Rejection> {
    let route = Route::find(path.as_str());
    let dialect = route.as_ref().map_or(DIALECTS[0], Route::dialect);
    let result = handle(app, &method, path.as_str(), route, &headers, body).await;
    let mut response = result.unwrap_or_else(|error| {
        tracing::info!(kind = ?error.kind, path = path.as_str(), "refused or failed");
        reply::error(dialect, &error)
    });
    if method == Method::HEAD {
        *response.body_mut() = Default::default();
    }
    Ok(response)
}

async fn handle<B: Buf>(
    app: &App,
    method: &Method,
    path: &str,
    route: Option<Route>,
    headers: &HeaderMap,
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Result<Response, TurnError> {
    origin::check(headers, app.config.bound)?;
    let Some(route) = route else {
        return Err(TurnError::new(
            ErrorKind::NotFound,
            format!(
                "there is no {path} here; open-cursor serves /v1/chat/completions, /v1/models and /health"
            ),
        ));
    };
    let allowed = route.method();
    if *method != allowed && !(allowed == Method::GET && method == Method::HEAD) {
        let error = TurnError::new(
            ErrorKind::MethodNotAllowed,
            format!("{path} takes {allowed}, not {method}"),
        );
        let mut response = reply::error(route.dialect(), &error);
        if let Ok(value) = HeaderValue::from_str(allowed.as_str()) {
            response.headers_mut().insert(header::ALLOW, value);
        }
        return Ok(response);
    }
    match route {
        Route::Answer(dialect) => chat::answer(app, dialect, headers, body).await,
        Route::Models => Ok(models::list(app).await),
        Route::Model(id) => models::one(app, &id).await,
        Route::Health => Ok(health(app)),
    }
}

/// `GET /health`: that this is open-cursor, and what it runs.
fn health(app: &App) -> Response {
    let engine = app.engine();
    let (status, code) = if engine.is_draining() {
        ("stopping", StatusCode::SERVICE_UNAVAILABLE)
    } else {
        ("ok", StatusCode::OK)
    };
    let body = json!({
        "name": env!("CARGO_PKG_NAME"),
        "status": status,
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "workspace": Path::display(engine.workspace()).to_string(),
        "agent": engine.agent().to_string(),
        "settings": app.config.settings,
        "fence": engine.agent().fence(),
        "running": engine.running(),
        "queued": engine.queued(),
    });
    reply::json(code, body.to_string().into_bytes())
}

/// Model ids may hold a slash, which clients escape.
fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = match (first, tail) {
            (b'%', [high, low, ..]) => std::str::from_utf8(&[*high, *low])
                .ok()
                .and_then(|hex| u8::from_str_radix(hex, 16).ok()),
            _ => None,
        };
        bytes.push(escaped.unwrap_or(*first));
        rest = &rest[if escaped.is_some() { 3 } else { 1 }..];
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
