//! OpenAI's error object, which all its APIs share.

use serde_json::{Value, json};

use crate::turn::{ErrorKind, TurnError};

/// `{"error": {"message", "type", "param", "code"}}`; all four keys are always there.
///
/// The types avoid words such as `server_error`, on which clients retry whatever the status.
#[must_use]
pub fn error_object(error: &TurnError) -> Value {
    let (kind, code) = names(error.kind);
    json!({"error": {
        "message": error.message,
        "type": kind,
        "param": error.param,
        "code": code,
    }})
}

fn names(kind: ErrorKind) -> (&'static str, Option<&'static str>) {
    match kind {
        ErrorKind::InvalidRequest => ("invalid_request_error", None),
        ErrorKind::NotFound => ("invalid_request_error", Some("not_found")),
        ErrorKind::MethodNotAllowed => ("invalid_request_error", Some("method_not_allowed")),
        ErrorKind::TooLarge => ("invalid_request_error", Some("request_too_large")),
        ErrorKind::UnsupportedMediaType => {
            ("invalid_request_error", Some("unsupported_media_type"))
        }
        ErrorKind::Forbidden => ("permission_error", Some("forbidden")),
        ErrorKind::Unauthorized => ("authentication_error", Some("invalid_api_key")),
        ErrorKind::NotLoggedIn => ("authentication_error", Some("not_logged_in")),
        ErrorKind::UsageLimit => ("insufficient_quota", Some("insufficient_quota")),
        ErrorKind::RateLimit => ("rate_limit_error", Some("rate_limit_exceeded")),
        ErrorKind::UnknownModel => ("invalid_request_error", Some("model_not_found")),
        ErrorKind::UnknownResponse => {
            ("invalid_request_error", Some("previous_response_not_found"))
        }
        ErrorKind::ContextTooLong => ("invalid_request_error", Some("context_length_exceeded")),
        ErrorKind::AgentMissing => ("agent_error", Some("agent_not_found")),
        ErrorKind::AgentRefused => ("agent_error", Some("agent_refused")),
        ErrorKind::AgentFailed => ("agent_error", Some("agent_failed")),
        ErrorKind::BadAnswer => ("agent_error", Some("response_format_not_met")),
        ErrorKind::Timeout => ("agent_error", Some("agent_timeout")),
        ErrorKind::ShuttingDown => ("agent_error", Some("shutting_down")),
        ErrorKind::Internal => ("internal_fault", None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_four_keys_are_there() {
        let error = error_object(&TurnError::new(ErrorKind::InvalidRequest, "no"));
        assert_eq!(
            error,
            json!({"error": {"message": "no", "type": "invalid_request_error", "param": null, "code": null}})
        );
    }
}
