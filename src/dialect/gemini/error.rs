//! Google's error object.

use serde_json::{Value, json};

use crate::{
    dialect::status,
    turn::{ErrorKind, TurnError},
};

/// `{"error": {"code", "message", "status", "details"}}`, the body of a response and an event of a
/// stream alike. `code` is the HTTP status; `details` are Google's typed messages.
pub fn error_object(error: &TurnError) -> Value {
    let mut details = Vec::new();
    if let Some(field) = &error.param {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{"field": field, "description": error.message}],
        }));
    }
    if let Some(after) = error.retry_after {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.RetryInfo",
            "retryDelay": format!("{}s", after.as_secs_f64()),
        }));
    }
    let mut object = json!({"error": {
        "code": status(error.kind),
        "message": error.message,
        "status": name(error.kind),
    }});
    if !details.is_empty() {
        object["error"]["details"] = details.into();
    }
    object
}

/// The names of `google.rpc.Code`.
fn name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest
        | ErrorKind::UnknownResponse
        | ErrorKind::ContextTooLong
        | ErrorKind::TooLarge
        | ErrorKind::UnsupportedMediaType => "INVALID_ARGUMENT",
        ErrorKind::MethodNotAllowed => "UNIMPLEMENTED",
        ErrorKind::NotFound | ErrorKind::UnknownModel => "NOT_FOUND",
        ErrorKind::Forbidden => "PERMISSION_DENIED",
        ErrorKind::Unauthorized | ErrorKind::NotLoggedIn => "UNAUTHENTICATED",
        ErrorKind::UsageLimit | ErrorKind::BadAnswer => "FAILED_PRECONDITION",
        ErrorKind::RateLimit => "RESOURCE_EXHAUSTED",
        ErrorKind::Timeout => "DEADLINE_EXCEEDED",
        ErrorKind::ShuttingDown | ErrorKind::AgentFailed => "UNAVAILABLE",
        ErrorKind::AgentMissing | ErrorKind::AgentRefused | ErrorKind::Internal => "INTERNAL",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn details_name_the_field_and_the_delay() {
        let error = error_object(&TurnError::invalid("contents", "`contents` is required"));
        assert_eq!(
            (&error["error"]["code"], &error["error"]["status"]),
            (&json!(400), &json!("INVALID_ARGUMENT"))
        );
        let violation = &error["error"]["details"][0]["fieldViolations"][0];
        assert_eq!(violation["field"], "contents");
        let error = error_object(&TurnError {
            retry_after: Some(Duration::from_secs(10)),
            ..TurnError::new(ErrorKind::RateLimit, "slow down")
        });
        assert_eq!(error["error"]["details"][0]["retryDelay"], "10s");
        let error = error_object(&TurnError::new(ErrorKind::Internal, "no"));
        assert!(error["error"].get("details").is_none());
    }
}
