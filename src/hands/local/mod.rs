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
    pub run: fn(&Workspace, &Map<String, Value>) -> Result<ToolAnswer, Fault>,
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

/// Why a tool did nothing, for the model. Its first words tell what kind of failure it is.
#[derive(Debug)]
pub(super) enum Fault {
    /// The arguments don't fit.
    Arguments(String),
    /// The whole message.
    Refused(String),
    /// The operating system's error.
    Io { path: String, error: String },
}

impl Fault {
    fn io(path: &str, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound {
            return Self::Refused(format!("no such file or directory: {path}"));
        }
        Self::Io {
            path: path.to_owned(),
            error: error.to_string(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arguments(why) => write!(f, "invalid arguments: {why}"),
            Self::Refused(message) => f.write_str(message),
            Self::Io { path, error } => write!(f, "error: {path}: {error}"),
        }
    }
}

fn arguments<T: DeserializeOwned>(given: &Map<String, Value>) -> Result<T, Fault> {
    serde_json::from_value(Value::Object(given.clone()))
        .map_err(|error| Fault::Arguments(error.to_string()))
}

fn said(content: impl Into<String>) -> ToolAnswer {
    ToolAnswer {
        content: content.into(),
        ..ToolAnswer::default()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
