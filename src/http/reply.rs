//! Complete replies: JSON, and errors with the status that makes clients do the right thing.

use bytes::Bytes;
use serde_json::Value;
use warp::{
    http::{HeaderValue, StatusCode, header},
    reply::Response,
};

use crate::{
    dialect::{self, Dialect},
    engine::TurnProgress,
    turn::{ErrorKind, TurnError},
};

/// A body of this type.
pub fn typed(content_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(body.into().into());
    set(&mut response, [("content-type", content_type)]);
    response
}

/// A JSON body.
pub fn json(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = typed("application/json", body);
    *response.status_mut() = status;
    response
}

/// A JSON value, where nothing failed.
pub fn value(value: &Value) -> Response {
    json(StatusCode::OK, value.to_string().into_bytes())
}

/// Sets headers whose values are always the same.
pub fn set<const COUNT: usize>(
    response: &mut Response,
    headers: [(&'static str, &'static str); COUNT],
) {
    for (name, value) in headers {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
}

/// Names the parameters that have no effect in a header: in the body, clients would reject them.
pub fn say_ignored(response: &mut Response, ignored: &[String]) {
    let names: Vec<&str> = ignored
        .iter()
        .map(String::as_str)
        .filter(|name| {
            name.bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b',')
        })
        .collect();
    let mut list = names.join(", ");
    // Names that no table knows come from the client.
    list.truncate(1024);
    if let Ok(value) = HeaderValue::from_str(&list)
        && !list.is_empty()
    {
        response
            .headers_mut()
            .insert("x-open-cursor-ignored", value);
    }
}

/// Says in a header how many changes of files reached no tool call; the body names them.
pub fn say_lost(response: &mut Response, count: usize) {
    if count > 0 {
        let headers = response.headers_mut();
        headers.insert("x-open-cursor-lost-changes", HeaderValue::from(count));
    }
}

/// Says in headers which model answers, and whether its run was started for this request.
pub fn say_run(response: &mut Response, progress: &TurnProgress) {
    if let Some(Ok(model)) = progress.tell_model().map(HeaderValue::try_from) {
        response.headers_mut().insert("x-open-cursor-model", model);
    }
    if let Some(origin) = progress.origin() {
        let name = HeaderValue::from_static(origin.name());
        response.headers_mut().insert("x-open-cursor-run", name);
    }
}

/// An error in the dialect's shape.
pub fn error(dialect: &dyn Dialect, error: &TurnError) -> Response {
    let status = StatusCode::from_u16(dialect::status(error.kind));
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json(status, dialect.error(error));
    if let Some(after) = error.retry_after {
        // A delay of a fraction of a second is still a delay.
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        let headers = response.headers_mut();
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if error.kind == ErrorKind::Unauthorized {
        set(&mut response, [("www-authenticate", "Bearer")]);
    }
    if !dialect::is_worth_a_retry(error.kind) {
        // The OpenAI and Anthropic SDKs read it; without it they retry twice, each time a new agent.
        set(&mut response, [("x-should-retry", "false")]);
    }
    response
}
