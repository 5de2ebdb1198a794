//! File changes: what a native edit did, as calls that do the same on the client's side.

mod calls;
mod hunks;
mod patch;
mod replace;
mod shell;

use serde_json::Value;

pub(super) use calls::{by_shell, calls, quoted};

use crate::agent::NativeCall;

/// What happened to one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// The file, absolute or relative to the workspace.
    pub path: String,
    /// Its text before; `None` if there was no file, or the agent did not say.
    pub before: Option<String>,
    /// Its text after; `None` if it was deleted.
    pub after: Option<String>,
}

impl FileChange {
    /// The change that a completed edit reports (SCHEMA 3: `beforeFullFileContent` and
    /// `afterFullFileContent`); `None` if it failed or changed nothing.
    pub(super) fn of(call: &NativeCall) -> Option<Self> {
        let outcome = call.outcome.as_ref().filter(|o| o.is_success())?;
        let text = |key: &str| outcome.body.get(key).and_then(Value::as_str);
        let arg = |key: &str| call.args.as_ref()?.get(key)?.as_str();
        let path = text("path")
            .filter(|path| !path.is_empty())
            .or_else(|| arg("path"))?;
        let change = Self {
            path: path.to_owned(),
            before: text("beforeFullFileContent").map(str::to_owned),
            after: Some(text("afterFullFileContent")?.to_owned()),
        };
        (change.before != change.after).then_some(change)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
