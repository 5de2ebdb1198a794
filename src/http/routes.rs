//! One request: who may ask, for what, and who answers.

use std::{convert::Infallible, sync::Arc};

use bytes::Buf;
use futures::Stream;
use warp::{
    Filter,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    path::FullPath,
    reply::Response,
};

use super::{
    App, HttpConfig, answer,
    auth::Requester,
    cors, models,
    names::ID_HEADER,
    origin, page,
    peer::Admitted,
    record::Record,
    reply,
    route::{Route, spoken},
    status, tool_results, unserved,
};
use crate::{
    dialect::Dialect,
    turn::{ErrorKind, TurnError},
};

/// All routes as one filter that never rejects.
pub fn routes(
    app: Arc<App>,
) -> impl Filter<Extract = (Response,), Error = warp::Rejection> + Clone + Send + Sync + 'static {
    warp::method()
        .and(warp::path::full())
        .and(query())
        .and(warp::header::headers_cloned())
        .and(warp::ext::optional())
        .map(|method, path, query, headers, admitted| RequestHead {
            method,
            path,
            query,
            headers,
            admitted,
        })
        .and(warp::body::stream())
        .then(move |head, body| {
            let app = Arc::clone(&app);
            async move { dispatch(&app, head, body).await }
        })
}

/// The part of the address after the question mark; empty without one.
fn query() -> impl Filter<Extract = (String,), Error = Infallible> + Clone {
    warp::query::raw().or(warp::any().map(String::new)).unify()
}

async fn dispatch<B: Buf>(
    app: &Arc<App>,
    head: RequestHead,
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Response {
    let (path, query) = (head.path.as_str(), &*head.query);
    let route = Route::find(path, query, &app.dialects);
    let dialect = spoken(path, query, &head.headers, &app.dialects);
    let turns = match route {
        Some(Route::Answer(..)) => Some(dialect.name()),
        Some(Route::ToolResults) => Some("tool_results"),
        _ => None,
    };
    let listeners = Arc::clone(&app.listeners);
    let record = Record::new(&head.method, path, &head.headers, turns, listeners);
    record.facts().quiet = route
        .as_ref()
        .is_some_and(|route| route.is_public() || matches!(route, Route::Page(_)));
    let config = app.config();
    let result = handle(app, &config, &head, route, dialect, body, &record).await;
    let mut response = result.unwrap_or_else(|error| {
        let response = reply::error(dialect, &error);
        record.facts().outcome = Some(Err(error));
        response
    });
    record.facts().status = Some(response.status());
    if let Ok(id) = HeaderValue::from_str(record.id()) {
        response.headers_mut().insert(ID_HEADER, id);
    }
    if let Some(origin) = cors::origin(&head.headers, &config.allowed_origins) {
        cors::allow(origin, &mut response);
    }
    if head.method == Method::HEAD {
        *response.body_mut() = Default::default();
    }
    response
}

/// The head of a request.
struct RequestHead {
    method: Method,
    path: FullPath,
    query: String,
    headers: HeaderMap,
    /// Whether its user may use the server, where that is checked.
    admitted: Option<Admitted>,
}

async fn handle<B: Buf>(
    app: &Arc<App>,
    config: &HttpConfig,
    head: &RequestHead,
    route: Option<Route>,
    dialect: &dyn Dialect,
    body: impl Stream<Item = Result<B, warp::Error>>,
    record: &Record,
) -> Result<Response, TurnError> {
    let (method, headers) = (&head.method, &head.headers);
    let (path, query) = (head.path.as_str(), &*head.query);
    origin::check(headers, config)?;
    let admitted = head.admitted.as_ref().map_or(Ok(()), Admitted::check);
    if cors::origin(headers, &config.allowed_origins).is_some()
        && let Some(response) = cors::preflight(method, headers)
    {
        // A browser sends no key with it, and it leads to nothing.
        return Ok(response);
    }
    // Any text may be a caller's key, so whoever sends one learns nothing of the server itself.
    let has_callers = app.engine().has_callers();
    let asks = admitted.clone();
    let asks = asks.and_then(|()| Requester::of(config, has_callers, headers, query));
    let trusted = asks.as_ref().is_ok_and(|asks| asks.client.is_none()) && !has_callers;
    let identity = match (&route, asks) {
        (Some(route), asks) if route.is_public() => asks.unwrap_or_default(),
        // A browser can't send the key for them.
        (Some(Route::Page(part)), _) if part.is_file() => {
            admitted?;
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
            reply::set(&mut response, [("upgrade", "HTTP/1.1")]);
        }
        return Ok(response);
    }
    match route {
        Route::Answer(dialect, target) => {
            answer::answer(app, dialect, target, (headers, identity), body, record).await
        }
        Route::ToolResults => tool_results::answer(app, headers, identity, body, record).await,
        Route::Compute(compute) => answer::compute(compute, headers, body, &app.bodies).await,
        Route::Models => Ok(models::list(app, dialect, &identity).await),
        Route::Model(id) => models::one(app, dialect, &id, &identity).await,
        Route::Tools => Ok(status::tools(app).await),
        Route::Parameters => Ok(status::parameters(&app.dialects)),
        Route::Health => Ok(status::health(app, trusted)),
        Route::Alive => Ok(status::alive()),
        Route::Ready => Ok(status::ready(app).await),
        Route::Metrics => status::metrics(app),
        Route::Page(part) => page::answer(app, part, query).await,
    }
}
