//! The agent's failures as the client's errors.

use std::time::Duration;

use crate::{
    agent::AgentError,
    boundary::OpenTool,
    models::{self, UnknownModel},
    turn::{ErrorKind, TurnError},
};

/// When to try again after a rate limit, if the agent didn't say.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// How many names an unknown model's error suggests.
const SUGGESTIONS: usize = 5;

/// What a client learns of an agent's failure. `model` is the one that the turn asked for.
#[must_use]
pub fn turn_error(error: AgentError, model: &str) -> TurnError {
    let text = error.to_string();
    match error {
        AgentError::Missing { .. } => TurnError::new(ErrorKind::AgentMissing, text),
        AgentError::Spawn { .. } => TurnError::new(ErrorKind::AgentRefused, text),
        AgentError::NotLoggedIn { .. } => TurnError::new(
            ErrorKind::NotLoggedIn,
            format!(
                "Cursor is not logged in: {text} Run `cursor-agent login`, or set CURSOR_API_KEY."
            ),
        ),
        AgentError::UsageLimit { .. } => TurnError::new(ErrorKind::UsageLimit, text),
        AgentError::RateLimited { retry_after, .. } => TurnError {
            retry_after: Some(retry_after.unwrap_or(RETRY_AFTER)),
            ..TurnError::new(
                ErrorKind::RateLimit,
                format!("Cursor limits the rate of requests: {text}"),
            )
        },
        AgentError::UnknownModel { available, .. } => {
            // It lists what it refuses, too.
            let others = available
                .iter()
                .map(String::as_str)
                .filter(|id| *id != model);
            unknown_model(UnknownModel {
                nearest: models::nearest(model, others, SUGGESTIONS),
                name: model.to_owned(),
            })
        }
        AgentError::ContextTooLong { .. } => TurnError::new(ErrorKind::ContextTooLong, text),
        AgentError::Refused { .. } => TurnError::new(
            ErrorKind::AgentRefused,
            format!("cursor-agent refused to run: {text}"),
        ),
        AgentError::Failed { .. } | AgentError::NotServed { .. } => {
            TurnError::new(ErrorKind::AgentFailed, text)
        }
    }
}

/// The error for an agent that has been silent for too long: before its first event, while a tool of
/// its own was open, or between two events.
pub(super) fn silent(silence: Duration, started: bool, open: Option<&OpenTool>) -> TurnError {
    let secs = silence.as_secs();
    let message = match (started, open) {
        (false, _) => format!(
            "cursor-agent sent nothing for {secs} s after it was started; \
             check `cursor-agent status`, or raise --agent-timeout"
        ),
        (true, Some(tool)) => format!(
            "cursor-agent has been silent for {secs} s while its tool `{}` was open; \
             raise --idle-timeout if such calls may take longer",
            tool.name
        ),
        (true, None) => format!(
            "cursor-agent has been silent for {secs} s; \
             raise --idle-timeout if answers may take longer"
        ),
    };
    TurnError::new(ErrorKind::Timeout, message)
}

/// The error for an answer that takes too long in all.
pub(super) fn over_time(total: Duration) -> TurnError {
    TurnError::new(
        ErrorKind::Timeout,
        format!(
            "the answer was not complete after {} s; raise --turn-timeout if answers may take longer",
            total.as_secs()
        ),
    )
}

/// The error for a turn that can't begin or go on because the server stops.
pub(super) fn shutting_down() -> TurnError {
    TurnError {
        // By then another server may have taken its place.
        retry_after: Some(Duration::from_secs(5)),
        ..TurnError::new(
            ErrorKind::ShuttingDown,
            "open-cursor is shutting down; send the request again",
        )
    }
}

/// The error for a model that the account does not have.
#[must_use]
pub fn unknown_model(unknown: UnknownModel) -> TurnError {
    TurnError {
        param: Some("model".to_owned()),
        ..TurnError::new(ErrorKind::UnknownModel, unknown.to_string())
    }
}
