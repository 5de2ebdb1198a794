//! Anthropic's error object.

use serde_json::{Value, json};

use crate::turn::{ErrorKind, TurnError};

/// `{"type": "error", "error": {"type", "message"}, "request_id"}`, the body of an answer and of a
/// stream's `error` event alike.
pub fn error_object(error: &TurnError) -> Value {
    let message = match error.kind {
        // By these words Claude Code knows that it must compact the conversation.
        ErrorKind::ContextTooLong => format!("prompt is too long: {}", error.message),
        _ => error.message.clone(),
    };
    json!({
        "type": "error",
        "error": {"type": kind(error.kind), "message": message},
        "request_id": null,
    })
}

fn kind(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest
        | ErrorKind::UnknownResponse
        | ErrorKind::MethodNotAllowed
        | ErrorKind::UnsupportedMediaType
        | ErrorKind::ContextTooLong => "invalid_request_error",
        ErrorKind::NotFound | ErrorKind::UnknownModel => "not_found_error",
        ErrorKind::TooLarge => "request_too_large",
        ErrorKind::Forbidden => "permission_error",
        ErrorKind::Unauthorized | ErrorKind::NotLoggedIn => "authentication_error",
        ErrorKind::UsageLimit => "billing_error",
        ErrorKind::RateLimit => "rate_limit_error",
        ErrorKind::Timeout => "timeout_error",
        ErrorKind::ShuttingDown => "overloaded_error",
        ErrorKind::AgentMissing
        | ErrorKind::AgentRefused
        | ErrorKind::AgentFailed
        | ErrorKind::BadAnswer
        | ErrorKind::Internal => "api_error",
    }
}
