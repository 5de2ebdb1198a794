//! How a call went, by the structure of its result.
//!
//! An error flag, an exit code or a leading error line decides; what a file or a page says further
//! down never does.

use serde_json::Value;

use crate::turn::ToolResult;

/// The classes of outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::boundary) enum Outcome {
    Success,
    /// The arguments did not fit the tool's schema.
    Validation,
    NotFound,
    Permission,
    Timeout,
    /// Any other failure.
    Failure,
    /// No result came.
    Unknown,
}

impl Outcome {
    pub(super) fn is_failure(self) -> bool {
        !matches!(self, Self::Success | Self::Unknown)
    }

    /// In parentheses, for a sentence.
    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::Success | Self::Unknown => "",
            Self::Validation => " (invalid arguments)",
            Self::NotFound => " (not found)",
            Self::Permission => " (no permission)",
            Self::Timeout => " (timeout)",
            Self::Failure => " (an error)",
        }
    }
}

/// Longer first lines are content, not a message.
const MAX_LINE: usize = 400;

/// Beginnings of a line that reports an error, in lower case.
const ERROR_STARTS: &[&str] = &[
    "error",
    "<error",
    "<tool_use_error",
    "fatal:",
    "failed to",
    "failure:",
    "exception",
    "traceback (most recent call last)",
    "enoent",
    "eacces",
    "eperm",
    "permission denied",
    "file not found",
    "no such file",
    "the arguments provided to the tool are invalid",
    "invalid arguments",
    "invalid input",
    "command timed out",
    "request timed out",
    "mcp error",
];

/// Words in an error line, and the class they tell. In this order: a schema error may name a
/// missing file's key.
const CLASSES: &[(Outcome, &[&str])] = &[
    (
        Outcome::Validation,
        &[
            "invalid arguments",
            "arguments provided to the tool are invalid",
            "invalid input",
            "missing required",
            "required parameter",
            "required property",
            "schemaerror",
            "schema validation",
            "inputvalidationerror",
            "must be of type",
        ],
    ),
    (
        Outcome::NotFound,
        &[
            "not found",
            "no such file",
            "enoent",
            "does not exist",
            "doesn't exist",
        ],
    ),
    (
        Outcome::Permission,
        &[
            "permission",
            "eacces",
            "eperm",
            "forbidden",
            "not allowed",
            "access denied",
        ],
    ),
    (Outcome::Timeout, &["timed out", "timeout"]),
];

/// The class of a result.
pub(in crate::boundary) fn classify(result: &ToolResult) -> Outcome {
    let content = result.content.trim_start();
    if let Some(object) = object(content) {
        return of_object(&object, result.is_error);
    }
    let line: String = content
        .lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(MAX_LINE + 1)
        .collect::<String>()
        .to_lowercase();
    if let Some(code) = exit_code(&line) {
        return if code == 0 {
            Outcome::Success
        } else {
            Outcome::Failure
        };
    }
    if result.is_error || (line.len() <= MAX_LINE && is_error_line(&line)) {
        return of_line(&line);
    }
    Outcome::Success
}

fn object(content: &str) -> Option<serde_json::Map<String, Value>> {
    if !content.starts_with('{') {
        return None;
    }
    serde_json::from_str(content).ok()
}

/// Structured results: an error member, a flag, or an exit code, as the tools of MCP servers and
/// Codex have them.
fn of_object(object: &serde_json::Map<String, Value>, flagged: bool) -> Outcome {
    let flag = |names: &[&str], value: bool| {
        names
            .iter()
            .any(|name| object.get(*name) == Some(&Value::Bool(value)))
    };
    let code = object
        .get("metadata")
        .and_then(Value::as_object)
        .into_iter()
        .chain([object])
        .find_map(|holder| {
            ["exit_code", "exitCode", "returncode"]
                .iter()
                .find_map(|name| holder.get(*name)?.as_i64())
        });
    let error = object.get("error").filter(|error| {
        !matches!(error, Value::Null | Value::Bool(false)) && error.as_str() != Some("")
    });
    let failed = flagged
        || error.is_some()
        || flag(&["is_error", "isError"], true)
        || flag(&["success", "ok"], false)
        || code.is_some_and(|code| code != 0);
    match (failed, error) {
        (false, _) => Outcome::Success,
        (true, Some(error)) => of_line(&error.to_string().to_lowercase()),
        (true, None) => Outcome::Failure,
    }
}

fn is_error_line(line: &str) -> bool {
    let begins = |start: &str| {
        line.strip_prefix(start)
            .is_some_and(|rest| !rest.starts_with(char::is_alphabetic))
    };
    ERROR_STARTS.iter().any(|start| begins(start))
        || (line.starts_with("the ") && line.contains("was called with invalid arguments"))
        || line.ends_with("execution failed")
        || names_an_error(line)
}

/// `TypeError: ...`, `java.io.IOException: ...`: one word that ends so, and a colon.
fn names_an_error(line: &str) -> bool {
    line.split_once(':').is_some_and(|(head, _)| {
        !head.contains(char::is_whitespace)
            && (head.ends_with("error") || head.ends_with("exception"))
    })
}

/// `Exit code: 1`, `Exit code 1`, `Process exited with code 1`.
fn exit_code(line: &str) -> Option<i64> {
    let rest = [
        "exit code",
        "process exited with code",
        "command exited with code",
    ]
    .iter()
    .find_map(|start| {
        line.strip_prefix("error: ")
            .unwrap_or(line)
            .strip_prefix(start)
    })?;
    let digits: String = rest
        .trim_start_matches([':', ' '])
        .chars()
        .take_while(|c| c.is_ascii_digit() || *c == '-')
        .collect();
    digits.parse().ok()
}

fn of_line(line: &str) -> Outcome {
    CLASSES
        .iter()
        .find(|(_, words)| words.iter().any(|word| line.contains(word)))
        .map_or(Outcome::Failure, |(outcome, _)| *outcome)
}
