//! The bridge's errors as ours.
//!
//! `SdkErrorDetails` (sdk_errors.proto) names the cause where it is known; the Connect code and the
//! message stand in for it. The codes of a run that failed (`RunResult.error_code`) are those of the
//! SDK, in lower case.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::{
    connect::{Refusal, RpcError},
    models::either,
};
use crate::{
    agent::{AgentError, classify},
    sandbox::redact::redact,
};

/// What an error means for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BridgeClass {
    NotLoggedIn,
    UsageLimit,
    RateLimited,
    UnknownModel,
    Refused,
}

/// The codes of each class, without their prefix and in lower case. What is missing here is decided
/// by the message.
const CLASSES: &[(BridgeClass, &str)] = &[
    (
        BridgeClass::NotLoggedIn,
        "unauthorized unauthenticated api_key_not_found",
    ),
    (
        BridgeClass::UsageLimit,
        "plan_required usage_limit_exceeded",
    ),
    (
        BridgeClass::RateLimited,
        "rate_limit_exceeded rate_limited resource_exhausted agent_busy",
    ),
    (BridgeClass::UnknownModel, "invalid_model"),
    (
        BridgeClass::Refused,
        "role_forbidden permission_denied feature_unavailable validation_error invalid_argument \
         failed_precondition unimplemented",
    ),
];

/// The part of `SdkErrorDetails` that decides.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Details {
    sdk_error_code: String,
    message: String,
    request_id: Option<String>,
    /// A protobuf duration: `1.5s`.
    retry_after: Option<String>,
}

impl Details {
    /// The first detail that has a code, in its readable form.
    fn of(refusal: &Refusal) -> Self {
        let candidates = refusal.details.iter().flat_map(|detail| {
            let debug = detail.get("debug").into_iter();
            debug.chain([detail]).chain(detail.get("value"))
        });
        let mut details = candidates.filter_map(|value: &Value| Self::deserialize(value).ok());
        details
            .find(|details| !details.sdk_error_code.is_empty())
            .unwrap_or_default()
    }
}

/// What a failed call means. `model` is the one that was asked for, `models` those that there are.
pub(super) fn of_call(error: RpcError, model: &str, models: &[String]) -> AgentError {
    let RpcError::Refused(refusal) = error else {
        return AgentError::Failed(error.to_string());
    };
    let details = Details::of(&refusal);
    let message = either(&details.message, &refusal.message);
    let retry_after = details.retry_after.as_deref().and_then(duration);
    let code = normal(&details.sdk_error_code);
    let class = class(&code).or_else(|| class(&normal(&refusal.code)));
    if let Some(id) = details.request_id {
        tracing::info!(request_id = %id, code = %refusal.code, "Cursor refused a call of the bridge");
    }
    error_of(class, message, retry_after, model, models)
}

/// What a run that ended with an error means.
pub(super) fn of_run(code: &str, message: &str, model: &str, models: &[String]) -> AgentError {
    let message = match (message, code) {
        ("", "") => "the run ended with an error that the bridge does not name",
        ("", code) => code,
        (message, _) => message,
    };
    error_of(class(&normal(code)), message, None, model, models)
}

fn error_of(
    class: Option<BridgeClass>,
    message: &str,
    retry_after: Option<Duration>,
    model: &str,
    models: &[String],
) -> AgentError {
    let clean = redact(message).into_owned();
    match class {
        Some(BridgeClass::NotLoggedIn) => {
            AgentError::NotLoggedIn(format!("Cursor refused the bridge's API key: {clean}"))
        }
        Some(BridgeClass::UsageLimit) => AgentError::UsageLimit(clean),
        Some(BridgeClass::UnknownModel) => AgentError::UnknownModel {
            model: model.to_owned(),
            available: models.to_vec(),
        },
        Some(BridgeClass::Refused) => AgentError::Refused(clean),
        // A limit of the plan may come as one of the rate; the words tell them apart.
        Some(BridgeClass::RateLimited) => match classify::error_result(message) {
            error @ AgentError::UsageLimit { .. } => error,
            _ => AgentError::RateLimited {
                message: clean,
                retry_after,
            },
        },
        None => classify::error_result(message),
    }
}

fn normal(code: &str) -> String {
    code.trim_start_matches("SDK_ERROR_CODE_")
        .to_ascii_lowercase()
}

fn class(code: &str) -> Option<BridgeClass> {
    let has_code = |(_, codes): &&(_, &str)| codes.split_whitespace().any(|known| known == code);
    CLASSES.iter().find(has_code).map(|(class, _)| *class)
}

fn duration(text: &str) -> Option<Duration> {
    let seconds: f64 = text.strip_suffix('s')?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(code: &str, message: &str, details: Value) -> AgentError {
        let refusal = Refusal {
            code: code.to_owned(),
            message: message.to_owned(),
            details: vec![details],
        };
        of_call(RpcError::Refused(refusal), "m", &["a".to_owned()])
    }

    fn sdk(code: &str) -> Value {
        json!({"type": "sdk.v1.SdkErrorDetails", "value": "AAA", "debug": {"sdkErrorCode": format!("SDK_ERROR_CODE_{code}"),
            "message": "words", "retryAfter": "1.500s", "requestId": "r"}})
    }

    #[test]
    fn codes_decide() {
        let name = |error: AgentError| {
            let debug = format!("{error:?}");
            debug
                .split([' ', '{', '('])
                .next()
                .unwrap_or_default()
                .to_owned()
        };
        for (code, expected) in [
            ("UNAUTHORIZED", "NotLoggedIn"),
            ("API_KEY_NOT_FOUND", "NotLoggedIn"),
            ("PLAN_REQUIRED", "UsageLimit"),
            ("USAGE_LIMIT_EXCEEDED", "UsageLimit"),
            ("RATE_LIMIT_EXCEEDED", "RateLimited"),
            ("AGENT_BUSY", "RateLimited"),
            ("INVALID_MODEL", "UnknownModel"),
            ("VALIDATION_ERROR", "Refused"),
            ("ROLE_FORBIDDEN", "Refused"),
            ("UPSTREAM_ERROR", "Failed"),
            ("INTERNAL_ERROR", "Failed"),
            ("AGENT_NOT_FOUND", "Failed"),
        ] {
            assert_eq!(
                name(refused("internal", "m", sdk(code))),
                expected,
                "{code}"
            );
        }
        for (code, expected) in [
            ("unauthenticated", "NotLoggedIn"),
            ("resource_exhausted", "RateLimited"),
            ("invalid_argument", "Refused"),
            ("unavailable", "Failed"),
        ] {
            assert_eq!(name(refused(code, "m", json!("odd"))), expected, "{code}");
        }
        assert_eq!(name(of_run("rate_limited", "m", "", &[])), "RateLimited");
    }

    #[test]
    fn details_are_kept() {
        let error = refused("resource_exhausted", "m", sdk("RATE_LIMIT_EXCEEDED"));
        let wait = Some(Duration::from_millis(1500));
        assert_eq!(
            error,
            AgentError::RateLimited {
                message: "words".to_owned(),
                retry_after: wait
            }
        );
        let error = of_run("invalid_model", "m", "x", &["a".to_owned()]);
        assert_eq!(
            error,
            AgentError::UnknownModel {
                model: "x".to_owned(),
                available: vec!["a".to_owned()]
            }
        );
    }

    #[test]
    fn words_decide_where_codes_do_not_and_secrets_go() {
        let error = refused("internal", "You've hit your usage limit", json!({}));
        assert!(matches!(error, AgentError::UsageLimit { .. }), "{error:?}");
        let error = refused(
            "resource_exhausted",
            "You've hit your usage limit",
            json!({}),
        );
        assert!(matches!(error, AgentError::UsageLimit { .. }), "{error:?}");
        let error = refused("unauthenticated", "bad key crsr_0123456789", json!({}));
        assert!(!error.to_string().contains("0123"), "{error}");
        assert!(
            of_run("", "", "m", &[])
                .to_string()
                .contains("does not name")
        );
    }
}
