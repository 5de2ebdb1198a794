//! Complete replies: JSON, and errors with the status that makes clients do the right thing.

use warp::{
    http::{HeaderValue, StatusCode, header},
    reply::Response,
};

use crate::{
    dialect::Dialect,
    turn::{ErrorKind, TurnError},
};

/// A JSON body.
pub fn json(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
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

/// An error in the dialect's shape.
pub fn error(dialect: &dyn Dialect, error: &TurnError) -> Response {
    let mut response = json(status(error.kind), dialect.error(error));
    let headers = response.headers_mut();
    if let Some(after) = error.retry_after {
        // A delay of a fraction of a second is still a delay.
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if error.kind == ErrorKind::Unauthorized {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if !is_worth_a_retry(error.kind) {
        // The OpenAI and Anthropic SDKs read it; without it they retry twice, each time a new agent.
        headers.insert("x-should-retry", HeaderValue::from_static("false"));
    }
    response
}

/// Clients retry 408, 409, 429 and 5xx, so what a retry can't fix is another 4xx, except where
/// the meaning of the status weighs more (a misconfigured agent is no fault of the request).
fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::InvalidRequest | ErrorKind::UnknownResponse | ErrorKind::ContextTooLong => {
            StatusCode::BAD_REQUEST
        }
        ErrorKind::Unauthorized | ErrorKind::NotLoggedIn => StatusCode::UNAUTHORIZED,
        ErrorKind::UsageLimit => StatusCode::PAYMENT_REQUIRED,
        ErrorKind::Forbidden => StatusCode::FORBIDDEN,
        ErrorKind::NotFound | ErrorKind::UnknownModel => StatusCode::NOT_FOUND,
        ErrorKind::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ErrorKind::BadAnswer => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::RateLimit => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::AgentMissing | ErrorKind::AgentRefused | ErrorKind::Internal => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
        ErrorKind::AgentFailed => StatusCode::BAD_GATEWAY,
        ErrorKind::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
    }
}

fn is_worth_a_retry(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::RateLimit | ErrorKind::AgentFailed | ErrorKind::ShuttingDown
    )
}
