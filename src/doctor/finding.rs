//! What a check has found.

use serde::Serialize;

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

/// What a check has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check's name.
    pub check: &'static str,
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

impl Finding {
    pub(super) fn new(check: &'static str, verdict: CheckResult) -> Self {
        let CheckResult {
            severity,
            message,
            hint,
            fix,
        } = verdict;
        Self {
            check,
            severity,
            message,
            hint,
            fix,
        }
    }
}

/// A finding without the name of its check.
pub(super) struct CheckResult {
    severity: Severity,
    message: String,
    hint: Option<String>,
    fix: Option<Fix>,
}

impl CheckResult {
    fn new(severity: Severity, message: impl Into<String>) -> Self {
        Self {
            severity,
            message: message.into(),
            hint: None,
            fix: None,
        }
    }

    pub(super) fn ok(message: impl Into<String>) -> Self {
        Self::new(Severity::Ok, message)
    }

    pub(super) fn info(message: impl Into<String>) -> Self {
        Self::new(Severity::Info, message)
    }

    pub(super) fn warning(message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, message)
    }

    pub(super) fn problem(message: impl Into<String>) -> Self {
        Self::new(Severity::Problem, message)
    }

    /// A check that makes no sense without an agent.
    pub(super) fn no_agent() -> Self {
        Self::info("not checked: there is no agent")
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
