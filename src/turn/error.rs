//! Why a turn failed, in words that fit every dialect.

use std::time::Duration;

/// The classes of failure. Each dialect gives them its own names and the HTTP layer a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request is malformed or asks for something we can't do.
    InvalidRequest,
    /// No such path, or no such object.
    NotFound,
    /// The path exists, but not for this method.
    MethodNotAllowed,
    /// The body is larger than we accept.
    TooLarge,
    /// The body is not JSON.
    UnsupportedMediaType,
    /// Host or Origin is not one that may talk to this server.
    Forbidden,
    /// The client did not send this server's API key.
    Unauthorized,
    /// The agent has no valid login.
    NotLoggedIn,
    /// The plan's allowance is used up, or the plan lacks the model. A retry can't help.
    UsageLimit,
    /// Too many requests just now. A later retry can help.
    RateLimit,
    /// The model is not one that the agent offers.
    UnknownModel,
    /// The response that the request continues is not, or no longer, stored.
    UnknownResponse,
    /// The conversation is longer than the model's context.
    ContextTooLong,
    /// There is no agent program to run.
    AgentMissing,
    /// The agent refused to start: untrusted workspace, bad arguments, missing directory.
    AgentRefused,
    /// The agent died or broke off its answer.
    AgentFailed,
    /// The model's answer does not have the form that the request demands.
    BadAnswer,
    /// The agent was silent for too long.
    Timeout,
    /// The server is shutting down.
    ShuttingDown,
    /// A fault of ours.
    Internal,
}

/// A failed turn.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct TurnError {
    /// The class, which decides the status.
    pub kind: ErrorKind,
    /// What happened and what to do next, for the person who reads it.
    pub message: String,
    /// The request field at fault, by path (`messages[3].content[0].type`).
    pub param: Option<String>,
    /// When a retry can succeed.
    pub retry_after: Option<Duration>,
}

impl TurnError {
    /// An error without field or retry time.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            param: None,
            retry_after: None,
        }
    }

    /// A malformed request, with the field at fault.
    #[must_use]
    pub fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            param: Some(param.into()),
            ..Self::new(ErrorKind::InvalidRequest, message)
        }
    }
}
