//! The HTTP status of each class of error: chosen by what clients do with it, not by its name.

use crate::turn::ErrorKind;

/// Clients retry 408, 409, 429 and 5xx, so what a retry cannot fix is another 4xx, except where
/// the meaning of the status weighs more (a misconfigured agent is not the request's fault).
#[must_use]
pub fn status(kind: ErrorKind) -> u16 {
    match kind {
        ErrorKind::InvalidRequest | ErrorKind::UnknownResponse | ErrorKind::ContextTooLong => 400,
        ErrorKind::Unauthorized | ErrorKind::NotLoggedIn => 401,
        ErrorKind::UsageLimit => 402,
        ErrorKind::Forbidden => 403,
        ErrorKind::NotFound | ErrorKind::UnknownModel => 404,
        ErrorKind::MethodNotAllowed => 405,
        ErrorKind::TooLarge => 413,
        ErrorKind::UnsupportedMediaType => 415,
        ErrorKind::BadAnswer => 422,
        ErrorKind::RateLimit => 429,
        ErrorKind::AgentMissing | ErrorKind::AgentRefused | ErrorKind::Internal => 500,
        ErrorKind::AgentFailed => 502,
        ErrorKind::ShuttingDown => 503,
        ErrorKind::Timeout => 504,
    }
}

/// Whether the same request can succeed later.
#[must_use]
pub fn is_worth_a_retry(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::RateLimit | ErrorKind::AgentFailed | ErrorKind::ShuttingDown
    )
}
