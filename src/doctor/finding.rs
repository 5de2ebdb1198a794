//! What a check has found.

use std::fmt::Display;

use serde::Serialize;

use crate::agent::AgentError;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Good to know.
    Info,
    /// Works, but may not for long, or not as one might think.
    Warning,
    /// Does not work.
    Problem,
}

/// A repair that can do no harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fix {
    /// What `sync-models` does.
    SyncModels,
}

/// A check's name, and what it has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check's name.
    pub check: &'static str,
    /// What it has found.
    #[serde(flatten)]
    pub result: CheckResult,
}

/// What a check has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckResult {
    /// How bad it is.
    pub severity: Severity,
    /// What is the case.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// What `--fix` would do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<Fix>,
}

/// What a check returns. An `Err` ends it early, and is shown like any other result.
pub(super) type Checked = Result<CheckResult, CheckResult>;

impl CheckResult {
    fn new(severity: Severity, message: impl Display) -> Self {
        Self {
            severity,
            message: message.to_string(),
            hint: None,
            fix: None,
        }
    }

    pub(super) fn ok(message: impl Display) -> Self {
        Self::new(Severity::Ok, message)
    }

    pub(super) fn info(message: impl Display) -> Self {
        Self::new(Severity::Info, message)
    }

    pub(super) fn warning(message: impl Display) -> Self {
        Self::new(Severity::Warning, message)
    }

    pub(super) fn problem(message: impl Display) -> Self {
        Self::new(Severity::Problem, message)
    }

    /// The answer of a model to a probe that wants its tool called.
    pub(super) fn uncalled() -> Self {
        Self::warning("the model answered without calling the tool that it was offered")
            .hint("run it again; if that stays so, report it with `open-cursor --version`")
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    pub(super) fn fix(self, fix: Fix) -> Self {
        Self {
            fix: Some(fix),
            ..self
        }
    }
}

impl From<AgentError> for CheckResult {
    fn from(error: AgentError) -> Self {
        Self::problem(error)
    }
}
