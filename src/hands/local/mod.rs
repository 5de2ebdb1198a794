//! The local tools, a file each. To add one, write its file and list it in [`TOOLS`].
//!
//! Arguments have the names that OpenCode gives them, which models know best.

mod bash;
mod clip;
mod edit;
mod glob;
mod grep;
mod ls;
mod mkdir;
mod multiedit;
pub(super) mod place;
mod read;
mod rm;
mod stat;
mod text;
mod walk;
mod write;

use std::{fmt, io, time::Duration};

pub(super) use clip::{Clip, shorten};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::protocol::ToolAnswer;
use place::Workspace;

/// A local tool.
#[derive(Debug)]
pub(super) struct Local {
    pub name: &'static str,
    pub description: &'static str,
    /// JSON Schema of its arguments.
    pub schema: fn() -> Value,
    /// Whether it changes nothing, so that several calls may run side by side.
    pub only_reads: bool,
    /// How long one call may take, in all.
    pub limit: Duration,
    pub run: fn(&Workspace, &Map<String, Value>) -> Result<ToolAnswer, String>,
}

/// How long a tool that only touches files may take.
const SHORT: Duration = Duration::from_secs(60);

/// All of them, in the order in which a model is shown them.
pub(super) const TOOLS: &[Local] = &[
    bash::TOOL,
    read::TOOL,
    write::TOOL,
    edit::TOOL,
    multiedit::TOOL,
    grep::TOOL,
    glob::TOOL,
    ls::TOOL,
    stat::TOOL,
    mkdir::TOOL,
    rm::TOOL,
];

/// Their names.
pub const NAMES: &[&str] = &names();

const fn names() -> [&'static str; TOOLS.len()] {
    let mut names = [""; TOOLS.len()];
    let mut at = 0;
    while at < TOOLS.len() {
        names[at] = TOOLS[at].name;
        at += 1;
    }
    names
}

/// The tool of this name.
pub(super) fn find(name: &str) -> Option<&'static Local> {
    TOOLS.iter().find(|tool| tool.name == name)
}

/// Runs a tool whose answer is a text. `Err` is why it did nothing, for the model; the first words tell
/// what kind of failure it is.
fn said<A: DeserializeOwned>(
    workspace: &Workspace,
    given: &Map<String, Value>,
    run: fn(&Workspace, A) -> Result<String, String>,
) -> Result<ToolAnswer, String> {
    run(workspace, arguments(given)?).map(ToolAnswer::said)
}

fn arguments<A: DeserializeOwned>(given: &Map<String, Value>) -> Result<A, String> {
    serde_json::from_value(Value::Object(given.clone())).map_err(invalid)
}

/// The failure where the arguments don't fit.
fn invalid(why: impl fmt::Display) -> String {
    format!("invalid arguments: {why}")
}

/// The failure where the operating system can't do something with a path.
fn failed(path: &str) -> impl Fn(io::Error) -> String {
    move |error| match error.kind() {
        io::ErrorKind::NotFound => format!("no such file or directory: {path}"),
        _ => format!("error: {path}: {error}"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
