//! Why the agent gave no complete answer.

use std::time::Duration;

/// A run that could not start, or that ended without a `result`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgentError {
    /// No agent program was found.
    #[error("no cursor-agent was found: {0}")]
    Missing(String),
    /// The program could not be started at all.
    #[error("could not start {program}: {reason}")]
    Spawn {
        /// The program's path.
        program: String,
        /// What the operating system said.
        reason: String,
    },
    /// The agent has no valid login.
    #[error("{0}")]
    NotLoggedIn(String),
    /// The plan's allowance is used up, or the plan lacks the model.
    #[error("{0}")]
    UsageLimit(String),
    /// Too many requests at the moment.
    #[error("{message}")]
    RateLimited {
        /// The agent's own words.
        message: String,
        /// When to try again, if it said so.
        retry_after: Option<Duration>,
    },
    /// The model is not one of the account's.
    #[error("the agent does not offer the model {model}")]
    UnknownModel {
        /// The id that was refused.
        model: String,
        /// The ids that it offers instead, as far as it named them.
        available: Vec<String>,
    },
    /// The conversation does not fit the model's context.
    #[error("{0}")]
    ContextTooLong(String),
    /// The agent refused to run here: untrusted workspace, missing directory, unknown option.
    #[error("{0}")]
    Refused(String),
    /// This version of the agent does not take the tools that were served to it. Nothing of the run
    /// has been delivered.
    #[error("{0}")]
    NotServed(String),
    /// The run broke off: a crash, a lost connection, an error result.
    #[error("{0}")]
    Failed(String),
}
