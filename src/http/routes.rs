//! Methods and paths.

use std::{convert::Infallible, net::IpAddr, sync::Arc, time::Duration};

use bytes::Buf;
use futures::Stream;
use serde_json::json;
use warp::{
    Filter,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    path::FullPath,
    reply::Response,
};

use super::{ApiKey, answer, cors, models, origin, reply, unserved};
use crate::{
    dialect::{Ask, Compute, Dialect, Sign, Target, parameters_of, percent_decode, unversioned},
    dump::Dumps,
    engine::Engine,
    turn::{ErrorKind, TurnError},
};

/// What the routes need.
pub struct App {
    engine: Engine,
    config: Config,
    dialects: Vec<Arc<dyn Dialect>>,
}

/// How the server treats its clients.
#[derive(Debug, Clone)]
pub struct Config {
    /// The address that the server was told to listen on.
    pub bound: IpAddr,
    /// How long a client may read nothing of its answer.
    pub stall: Duration,
    /// How many connections are open at one time; more wait to be accepted.
    pub max_connections: usize,
    /// What clients must send, if anything.
    pub api_key: Option<ApiKey>,
    /// Names of this server beyond those of this machine, as they stand in `Host`, without a port.
    pub allowed_hosts: Vec<String>,
    /// The origins whose web pages may use this server (see [`parse_origin`]).
    ///
    /// [`parse_origin`]: super::parse_origin
    pub allowed_origins: Vec<String>,
    /// Where turns are dumped, if anywhere.
    pub dumps: Option<Dumps>,
    /// The settings, as a digest: whether another server would answer alike.
    pub settings: String,
}

impl Config {
    /// The defaults for a server on `bound`.
    #[must_use]
    pub fn new(bound: IpAddr) -> Self {
        Self {
            bound,
            stall: Duration::from_secs(30),
            max_connections: 512,
            api_key: None,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            dumps: None,
            settings: String::new(),
        }
    }
}

impl App {
    /// Serves what the engine answers, in these dialects: at least one, the first where none is
    /// meant.
    #[must_use]
    pub fn new(engine: Engine, config: Config, dialects: Vec<Arc<dyn Dialect>>) -> Self {
        Self {
            engine,
            config,
            dialects,
        }
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
    Answer(Arc<dyn Dialect>, Target),
    Compute(Compute),
    Models,
    Model(String),
    Parameters,
    Health,
}

impl Route {
    /// The dialects' own paths come first. The others exist also without `/v1`, which some clients
    /// leave out of their base URL.
    fn find(path: &str, query: &str, dialects: &[Arc<dyn Dialect>]) -> Option<Self> {
        for dialect in dialects {
            if let Some(ask) = dialect.route(path, query) {
                return Some(match ask {
                    Ask::Answer(target) => Self::Answer(Arc::clone(dialect), target),
                    Ask::Compute(compute) => Self::Compute(compute),
                    Ask::Models => Self::Models,
                    Ask::Model(name) => Self::Model(name),
                });
            }
        }
        match unversioned(path) {
            "/models" => Some(Self::Models),
            "/parameters" => Some(Self::Parameters),
            "/health" => Some(Self::Health),
            path => {
                let name = path.strip_prefix("/models/")?;
                (!name.is_empty()).then(|| Self::Model(percent_decode(name)))
            }
        }
    }

    fn method(&self) -> Method {
        match self {
            Self::Answer(..) | Self::Compute(_) => Method::POST,
            Self::Models | Self::Model(_) | Self::Parameters | Self::Health => Method::GET,
        }
    }
}

/// The dialect that the client of a request speaks: the one whose path it asks for, else the one
/// whose sign it sends, else the first.
fn spoken<'a>(
    path: &str,
    query: &str,
    headers: &HeaderMap,
    dialects: &'a [Arc<dyn Dialect>],
) -> &'a dyn Dialect {
    let is_its_path = |dialect: &&Arc<dyn Dialect>| dialect.route(path, query).is_some();
    let sends_its_sign = |dialect: &&Arc<dyn Dialect>| {
        dialect.signs().iter().any(|sign| match *sign {
            Sign::Path(beginning) => unversioned(path).starts_with(beginning),
            Sign::Header(name) => headers.contains_key(name),
            Sign::Query(name) => parameters_of(query).any(|(key, _)| key == name),
        })
    };
    let found = dialects.iter().find(is_its_path);
    let found = found.or_else(|| dialects.iter().find(sends_its_sign));
    found.unwrap_or(&dialects[0]).as_ref()
}

/// All routes as one filter that never rejects.
pub fn routes(
    app: Arc<App>,
) -> impl Filter<Extract = (Response,), Error = warp::Rejection> + Clone + Send + Sync + 'static {
    warp::method()
        .and(warp::path::full())
        .and(query())
        .and(warp::header::headers_cloned())
        .and(warp::body::stream())
        .and_then(move |method, path, query, headers, body| {
            let app = Arc::clone(&app);
            async move { dispatch(&app, method, path, query, headers, body).await }
        })
}

/// What stands behind the question mark; empty without one.
fn query() -> impl Filter<Extract = (String,), Error = Infallible> + Clone {
    warp::query::raw().or(warp::any().map(String::new)).unify()
}

async fn dispatch<B: Buf>(
    app: &App,
    method: Method,
    path: FullPath,
    query: String,
    headers: HeaderMap,
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Result<Response, warp::Rejection> {
    let route = Route::find(path.as_str(), &query, &app.dialects);
    let dialect = spoken(path.as_str(), &query, &headers, &app.dialects);
    let result = handle(
        app,
        &method,
        (path.as_str(), &query),
        route,
        dialect,
        &headers,
        body,
    )
    .await;
    let mut response = result.unwrap_or_else(|error| {
        tracing::info!(kind = ?error.kind, path = path.as_str(), "refused or failed");
        reply::error(dialect, &error)
    });
    if let Some(origin) = cors::origin(&headers, &app.config.allowed_origins) {
        cors::allow(origin, &mut response);
    }
    if method == Method::HEAD {
        *response.body_mut() = Default::default();
    }
    Ok(response)
}

async fn handle<B: Buf>(
    app: &App,
    method: &Method,
    (path, query): (&str, &str),
    route: Option<Route>,
    dialect: &dyn Dialect,
    headers: &HeaderMap,
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Result<Response, TurnError> {
    let config = &app.config;
    origin::check(headers, config)?;
    if cors::origin(headers, &config.allowed_origins).is_some()
        && let Some(response) = cors::preflight(method, headers)
    {
        // A browser sends no key with it, and it leads to nothing.
        return Ok(response);
    }
    let authorized = config
        .api_key
        .as_ref()
        .map_or(Ok(()), |key| key.check(headers, query));
    // Whoever may not use the server may know that it is there.
    let trusted = authorized.is_ok();
    if !matches!(route, Some(Route::Health)) {
        authorized?;
    }
    let Some(route) = route else {
        return Err(unserved::error(path, &app.dialects));
    };
    let allowed = route.method();
    if *method != allowed && !(allowed == Method::GET && method == Method::HEAD) {
        let error = TurnError::new(
            ErrorKind::MethodNotAllowed,
            format!("{path} takes {allowed}, not {method}"),
        );
        let mut response = reply::error(dialect, &error);
        if let Ok(value) = HeaderValue::from_str(allowed.as_str()) {
            response.headers_mut().insert(header::ALLOW, value);
        }
        return Ok(response);
    }
    match route {
        Route::Answer(dialect, target) => answer::answer(app, dialect, target, headers, body).await,
        Route::Compute(compute) => answer::compute(compute, headers, body).await,
        Route::Models => Ok(models::list(app, dialect).await),
        Route::Model(id) => models::one(app, dialect, &id).await,
        Route::Parameters => Ok(parameters(&app.dialects)),
        Route::Health => Ok(health(app, trusted)),
    }
}

/// `GET /v1/parameters`: what becomes of each parameter of each dialect.
fn parameters(dialects: &[Arc<dyn Dialect>]) -> Response {
    let data: Vec<_> = dialects
        .iter()
        .map(|dialect| json!({"path": dialect.path(), "parameters": dialect.parameters()}))
        .collect();
    let body = json!({"object": "list", "data": data});
    reply::json(StatusCode::OK, body.to_string().into_bytes())
}

/// `GET /health`: that this is open-cursor and, for those who may know, what it runs.
fn health(app: &App, trusted: bool) -> Response {
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
        body["fence"] = json!(engine.agent().fence());
        body["settings"] = app.config.settings.as_str().into();
        body["running"] = engine.running().into();
        body["queued"] = engine.queued().into();
        body["recoveredCalls"] = engine.recovered().into();
    }
    reply::json(code, body.to_string().into_bytes())
}
