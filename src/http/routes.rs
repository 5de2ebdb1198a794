//! Methods and paths.

use std::{
    convert::Infallible,
    net::IpAddr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use bytes::Buf;
use futures::Stream;
use serde_json::json;
use warp::{
    Filter,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    path::FullPath,
    reply::Response,
};

use super::{
    ApiKey, answer,
    auth::Requester,
    body::Budget,
    cors,
    keys::KeyRing,
    limits::Spending,
    live::Live,
    metrics::Metrics,
    models, origin,
    page::{self, PagePart, Recipe},
    peer::Admitted,
    record::{ID_HEADER, Listeners, Record},
    reply,
    status::{self, LoginAnswer},
    tool_results, unserved,
};
use crate::{
    dialect::{
        Ask, Compute, Dialect, PathTarget, Sign, parameters_of, percent_decode, unversioned,
    },
    dump::Dumps,
    engine::Engine,
    history::Ledger,
    turn::{ErrorKind, TurnError},
};

/// The engine, its dialects, and how clients are treated.
pub struct App {
    engine: Engine,
    config: RwLock<Arc<HttpConfig>>,
    dialects: Vec<Arc<dyn Dialect>>,
    bodies: Budget,
    listeners: Arc<Listeners>,
    login: LoginAnswer,
}

/// How the server treats its clients.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// The address of the setting `host`.
    pub bound: IpAddr,
    /// How long a client may read nothing of its answer.
    pub stall: Duration,
    /// How many connections are open at one time; more wait to be accepted.
    pub max_connections: usize,
    /// How much memory the bodies of all requests may take at one time, in bytes.
    pub max_body_memory: usize,
    /// The key that clients must send, if any.
    pub api_key: Option<ApiKey>,
    /// The keys of clients, with less rights.
    pub keys: KeyRing,
    /// What turns may cost on a day, in US dollars.
    pub daily_budget: Option<f64>,
    /// How many tokens a turn may have.
    pub max_tokens_per_turn: Option<u64>,
    /// The models to go on with when Cursor says that a model's limit is reached.
    pub fallback_models: Vec<String>,
    /// The users of this machine that may connect, beside the administrator; `None` is all.
    pub allowed_users: Option<Vec<u32>>,
    /// Names of this server beyond those of this machine, as they stand in `Host`, without a port.
    pub allowed_hosts: Vec<String>,
    /// The origins whose web pages may use this server (see [`parse_origin`]).
    ///
    /// [`parse_origin`]: super::parse_origin
    pub allowed_origins: Vec<String>,
    /// Where turns are dumped, if anywhere.
    pub dumps: Option<Dumps>,
    /// How clients are set up, for the page.
    pub recipes: Vec<Recipe>,
    /// The settings, as a digest: whether another server would answer alike.
    pub settings: String,
}

impl HttpConfig {
    /// The defaults for a server on `bound`.
    #[must_use]
    pub fn new(bound: IpAddr) -> Self {
        Self {
            bound,
            stall: Duration::from_secs(30),
            max_connections: 512,
            max_body_memory: 256 << 20,
            api_key: None,
            keys: KeyRing::default(),
            daily_budget: None,
            max_tokens_per_turn: None,
            fallback_models: Vec::new(),
            allowed_users: None,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            dumps: None,
            recipes: Vec::new(),
            settings: String::new(),
        }
    }
}

impl App {
    /// Serves the engine in these dialects: at least one. The first answers where none is meant.
    #[must_use]
    pub fn new(engine: Engine, config: HttpConfig, dialects: Vec<Arc<dyn Dialect>>) -> Self {
        let listeners = Listeners {
            metrics: Metrics::default(),
            live: Live::default(),
            spending: Spending::default(),
            history: None,
            agent: engine.agent().kind(),
        };
        Self {
            engine,
            bodies: Budget::new(config.max_body_memory),
            config: RwLock::new(Arc::new(config)),
            dialects,
            listeners: Arc::new(listeners),
            login: LoginAnswer::default(),
        }
    }

    /// Keeps a row of each turn there.
    #[must_use]
    pub fn with_history(mut self, history: Ledger) -> Self {
        self.listeners = Arc::new(Listeners {
            metrics: Metrics::default(),
            live: Live::default(),
            spending: Spending::default(),
            history: Some(history),
            agent: self.listeners.agent,
        });
        self
    }

    /// Where turns are kept, if anywhere.
    #[must_use]
    pub fn history(&self) -> Option<&Ledger> {
        self.listeners.history.as_ref()
    }

    /// Answers requests.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// How clients are treated now.
    #[must_use]
    pub fn config(&self) -> Arc<HttpConfig> {
        let config = self.config.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&config)
    }

    /// Replaces the configuration while the server runs. The number of connections and the memory for
    /// bodies stay as they were at the start.
    pub fn configure(&self, config: HttpConfig) {
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }

    pub(super) fn bodies(&self) -> &Budget {
        &self.bodies
    }

    pub(super) fn login(&self) -> &LoginAnswer {
        &self.login
    }

    /// Counts what was spent on this day before the server's start, by the names of keys.
    pub fn spent_earlier(&self, spent: Vec<(Option<String>, f64)>) {
        self.spending().earlier(spent);
    }

    pub(super) fn spending(&self) -> &Spending {
        &self.listeners.spending
    }

    pub(super) fn live(&self) -> &Live {
        &self.listeners.live
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.listeners.metrics
    }
}

/// What is served at a path.
enum Route {
    Answer(Arc<dyn Dialect>, PathTarget),
    Compute(Compute),
    Models,
    Model(String),
    Tools,
    ToolResults,
    Parameters,
    Health,
    Alive,
    Ready,
    Metrics,
    Page(PagePart),
}

impl Route {
    /// The dialects' own paths come first. The others exist also without `/v1`, which some clients
    /// leave out of their base URL.
    fn find(path: &str, query: &str, dialects: &[Arc<dyn Dialect>]) -> Option<Self> {
        if let Some(part) = PagePart::find(path) {
            return Some(Self::Page(part));
        }
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
            "/tools" => Some(Self::Tools),
            "/tool_results" => Some(Self::ToolResults),
            "/parameters" => Some(Self::Parameters),
            "/health" => Some(Self::Health),
            "/healthz" => Some(Self::Alive),
            "/readyz" => Some(Self::Ready),
            "/metrics" => Some(Self::Metrics),
            path => {
                let name = path.strip_prefix("/models/")?;
                (!name.is_empty()).then(|| Self::Model(percent_decode(name)))
            }
        }
    }

    fn method(&self) -> Method {
        match self {
            Self::Answer(..) | Self::Compute(_) | Self::ToolResults => Method::POST,
            _ => Method::GET,
        }
    }

    /// Whether it is for callers that Cursor alone knows. What tells of others is not, so what is not
    /// named here is refused.
    fn is_for_callers(&self) -> bool {
        self.is_public()
            || matches!(
                self,
                Self::Answer(..)
                    | Self::Compute(_)
                    | Self::Models
                    | Self::Model(_)
                    | Self::Tools
                    | Self::ToolResults
                    | Self::Parameters
                    | Self::Metrics
            )
            || matches!(self, Self::Page(part) if part.is_file())
    }

    /// Whether strangers may know it: that the server is there, and whether it can be used.
    fn is_public(&self) -> bool {
        matches!(self, Self::Health | Self::Alive | Self::Ready)
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
        .and(warp::ext::optional())
        .and(warp::body::stream())
        .and_then(move |method, path, query, headers, admitted, body| {
            let app = Arc::clone(&app);
            async move { dispatch(&app, method, path, query, headers, admitted, body).await }
        })
}

/// The part of the address after the question mark; empty without one.
fn query() -> impl Filter<Extract = (String,), Error = Infallible> + Clone {
    warp::query::raw().or(warp::any().map(String::new)).unify()
}

async fn dispatch<B: Buf>(
    app: &Arc<App>,
    method: Method,
    path: FullPath,
    query: String,
    headers: HeaderMap,
    admitted: Option<Admitted>,
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Result<Response, warp::Rejection> {
    let path = path.as_str();
    let route = Route::find(path, &query, &app.dialects);
    let dialect = spoken(path, &query, &headers, &app.dialects);
    let turns = match route {
        Some(Route::Answer(..)) => Some(dialect.name()),
        Some(Route::ToolResults) => Some("tool_results"),
        _ => None,
    };
    let record = Record::new(&method, path, &headers, turns, Arc::clone(&app.listeners));
    if route
        .as_ref()
        .is_some_and(|route| route.is_public() || matches!(route, Route::Page(_)))
    {
        record.quiet();
    }
    let config = app.config();
    let result = async {
        origin::check(&headers, &config)?;
        let admitted = admitted.map_or(Ok(()), |admitted| admitted.check());
        let head = RequestHead {
            method: &method,
            path,
            query: &query,
            headers: &headers,
            admitted,
        };
        handle(app, &config, &head, route, dialect, body, &record).await
    };
    let mut response = result.await.unwrap_or_else(|error| {
        record.fail(&error);
        reply::error(dialect, &error)
    });
    record.status(response.status());
    if let Ok(id) = HeaderValue::from_str(record.id()) {
        response.headers_mut().insert(ID_HEADER, id);
    }
    if let Some(origin) = cors::origin(&headers, &config.allowed_origins) {
        cors::allow(origin, &mut response);
    }
    if method == Method::HEAD {
        *response.body_mut() = Default::default();
    }
    Ok(response)
}

/// The head of a request.
struct RequestHead<'a> {
    method: &'a Method,
    path: &'a str,
    query: &'a str,
    headers: &'a HeaderMap,
    /// Whether its user may use the server.
    admitted: Result<(), TurnError>,
}

async fn handle<B: Buf>(
    app: &Arc<App>,
    config: &HttpConfig,
    head: &RequestHead<'_>,
    route: Option<Route>,
    dialect: &dyn Dialect,
    body: impl Stream<Item = Result<B, warp::Error>>,
    record: &Record,
) -> Result<Response, TurnError> {
    let RequestHead {
        method,
        path,
        query,
        headers,
        ..
    } = *head;
    if cors::origin(headers, &config.allowed_origins).is_some()
        && let Some(response) = cors::preflight(method, headers)
    {
        // A browser sends no key with it, and it leads to nothing.
        return Ok(response);
    }
    // Any text may be a caller's key, so whoever sends one learns nothing of the server itself.
    let has_callers = app.engine().has_callers();
    let asks = head.admitted.clone();
    let asks = asks.and_then(|()| Requester::of(config, has_callers, headers, query));
    let trusted = asks.as_ref().is_ok_and(|asks| asks.client.is_none()) && !has_callers;
    let identity = match (&route, asks) {
        (Some(route), asks) if route.is_public() => asks.unwrap_or_default(),
        // A browser can't send the key for them.
        (Some(Route::Page(part)), _) if part.is_file() => {
            head.admitted.clone()?;
            Requester::default()
        }
        (route, asks) => {
            let asks = asks?;
            if let (Some(Route::Page(_) | Route::Metrics), Some(key)) = (route, &asks.client) {
                return Err(TurnError::new(
                    ErrorKind::Forbidden,
                    format!(
                        "the key `{}` is for requests to models; {path} needs the server's own key",
                        key.name
                    ),
                ));
            }
            asks
        }
    };
    let Some(route) = route else {
        return Err(unserved::error(path, &app.dialects));
    };
    if has_callers && !route.is_for_callers() {
        return Err(TurnError::new(
            ErrorKind::Forbidden,
            format!(
                "{path} tells of all callers, and any caller could ask for it; this server has --credentials client"
            ),
        ));
    }
    let allowed = route.method();
    if method != allowed && !(allowed == Method::GET && method == Method::HEAD) {
        let error = TurnError::new(
            ErrorKind::MethodNotAllowed,
            format!("{path} takes {allowed}, not {method}"),
        );
        let mut response = reply::error(dialect, &error);
        if let Ok(value) = HeaderValue::from_str(allowed.as_str()) {
            response.headers_mut().insert(header::ALLOW, value);
        }
        if headers.contains_key(header::UPGRADE) {
            // By this status Codex knows that there is no WebSocket here, and uses HTTP at once;
            // after any other it tries five times more.
            *response.status_mut() = StatusCode::UPGRADE_REQUIRED;
            let protocol = HeaderValue::from_static("HTTP/1.1");
            response.headers_mut().insert(header::UPGRADE, protocol);
        }
        return Ok(response);
    }
    match route {
        Route::Answer(dialect, target) => {
            answer::answer(app, dialect, target, (headers, identity), body, record).await
        }
        Route::ToolResults => tool_results::answer(app, headers, identity, body, record).await,
        Route::Compute(compute) => answer::compute(compute, headers, body, app.bodies()).await,
        Route::Models => Ok(models::list(app, dialect, &identity).await),
        Route::Model(id) => models::one(app, dialect, &id, &identity).await,
        Route::Tools => Ok(tools(app).await),
        Route::Parameters => Ok(parameters(&app.dialects)),
        Route::Health => Ok(health(app, trusted)),
        Route::Alive => Ok(status::alive()),
        Route::Ready => Ok(status::ready(app).await),
        Route::Metrics => status::metrics(app),
        Route::Page(part) => page::answer(app, part, query).await,
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

/// `GET /v1/tools`: the tools that the server executes, which requests may name.
async fn tools(app: &App) -> Response {
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
        body["carrierProblem"] = engine.agent().serving_problem().into();
        if let Some(toolbox) = engine.toolbox() {
            body["mcp"] = json!(toolbox.mcp_health());
        }
        body["recoveredCalls"] = engine.recovered().into();
    }
    reply::json(code, body.to_string().into_bytes())
}
