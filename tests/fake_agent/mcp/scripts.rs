//! The scenarios, as lists of steps.

use serde::Deserialize;
use serde_json::{Map, Value};

/// The scenarios, for the list of models.
pub const NAMES: &str = "one three text parallel announced crossed late dies dies-late dies-after breach \
    gives-up unknown bad-arguments loop blind init-only lists-late lists-too-late no-flag old-flag \
    script";

/// The steps of each scenario; `script` has them in the prompt's last line.
pub const SCRIPTS: &[(&str, &str)] = &[
    ("one", r#"[{"calls": 1}]"#),
    ("three", r#"[{"calls": 3}]"#),
    (
        "text",
        r#"[{"say": "One. "}, {"calls": 1}, {"say": "Two. "}, {"calls": 1}, {"say": "Three. "}]"#,
    ),
    // The calls of one batch come apart, as from Cursor's backend (parked.md 2.3).
    ("parallel", r#"[{"batch": {"at": [0, 300, 700, 1200]}}]"#),
    (
        "announced",
        r#"[{"batch": {"at": [0, 600, 1200], "announced": true}}]"#,
    ),
    (
        "crossed",
        r#"[{"batch": {"at": [200, 300, 0], "announced": true}}]"#,
    ),
    ("late", r#"[{"batch": {"at": [0, 100, 3000]}}]"#),
    (
        "dies",
        r#"[{"batch": {"at": [0], "during": [{"wait": 500}, {"exit": 1}]}}]"#,
    ),
    (
        "dies-late",
        r#"[{"batch": {"at": [0], "during": [{"wait": 3000}, {"exit": 1}]}}]"#,
    ),
    (
        "dies-after",
        r#"[{"calls": 1}, {"say": "The tool said"}, {"exit": 1}]"#,
    ),
    (
        "breach",
        r#"[{"batch": {"at": [0], "during": [{"wait": 300}, {"edit": "breach.txt"}]}}]"#,
    ),
    (
        "gives-up",
        r#"[{"patience": 700}, {"calls": 1}, {"say": "I waited long enough. "}]"#,
    ),
    (
        "unknown",
        r#"[{"call": {"tool": "no_such_tool", "arguments": {}}}]"#,
    ),
    ("bad-arguments", r#"[{"misnamed": 1}]"#),
    ("loop", r#"[{"same": 30}]"#),
    (
        "blind",
        r#"[{"discover": "never"}, {"say": "I have no tools."}]"#,
    ),
    (
        "init-only",
        r#"[{"discover": "initialize"}, {"say": "I have no tools."}]"#,
    ),
    (
        "lists-late",
        r#"[{"discover": {"after": 2000}}, {"calls": 1}]"#,
    ),
    (
        "lists-too-late",
        r#"[{"discover": {"after": 8000}}, {"calls": 1}]"#,
    ),
    ("no-flag", r#"[{"calls": 1}]"#),
    ("old-flag", r#"[{"calls": 1}]"#),
];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// Answer text.
    Say(String),
    /// So many different calls, one after the other.
    Calls(u32),
    /// The same call so many times.
    Same(u32),
    /// So many calls whose arguments have no name that the schema has.
    Misnamed(u32),
    /// This call.
    Call {
        tool: String,
        arguments: Map<String, Value>,
    },
    /// One call at each of these milliseconds, all announced at once or each by itself, and what
    /// happens while they wait.
    Batch {
        at: Vec<u64>,
        #[serde(default)]
        announced: bool,
        #[serde(default)]
        during: Vec<Step>,
    },
    /// A native edit of this file of the workspace.
    Edit(String),
    /// Milliseconds.
    Wait(u64),
    /// For how many milliseconds a request waits from now on. First or second in its script.
    Patience(u64),
    /// How the tools are found, if not at once. First in its script.
    Discover(Discover),
    /// The end, without a result.
    Exit(u8),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Discover {
    /// Not at all.
    Never,
    /// Connects and does not ask for tools.
    Initialize,
    /// After so many milliseconds.
    After(u64),
}
