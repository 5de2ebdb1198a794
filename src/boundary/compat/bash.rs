//! Shell commands.

use serde_json::{Value, json};

use super::Compat;
use super::fields::{ArgumentMap, field, millis, path};
use crate::boundary::alias::has;
use crate::boundary::change::quoted;
use crate::boundary::schema::types;

/// What a command is for, in words.
const DESCRIPTION: &str = "description explanation reason";

/// Whether an argument of this folded name says what a command is for.
pub(in crate::boundary) fn is_description(folded: &str) -> bool {
    has(DESCRIPTION, folded)
}

pub(super) const TOOL: Compat = Compat {
    family: "bash",
    essential: "command",
    fields: &[
        field(
            "command",
            "command cmd script shellcommand terminalcommand code",
        ),
        path(
            "cwd",
            "workdir cwd workingdirectory currentdirectory directory dir dirpath path cd",
        ),
        millis(
            "timeout",
            "timeout timeoutms timeoutmillis timeoutseconds timeoutsecs",
        ),
        field("description", DESCRIPTION),
        field("background", "runinbackground isbackground background"),
        field("args", "args arguments"),
        field("approval", "requiresapproval"),
    ],
    prepare,
    complete: |given, field| match field {
        "description" => Some(json!(summary(given.text("command")?))),
        "cwd" => Some(json!(given.workspace.to_string_lossy())),
        "background" => Some(json!(false)),
        // Cline's: whether to ask the user. Only it can know that it need not.
        "approval" => Some(json!(true)),
        _ => None,
    },
};

fn prepare(given: &mut ArgumentMap) {
    join_command(given);
    // The agent's default; as the client's limit it would kill what Cursor only moves to the
    // background.
    if given.native
        && given
            .number("timeout")
            .is_some_and(|millis| millis <= 30_000)
    {
        given.values.remove("timeout");
    }
    if given
        .text("cwd")
        .is_some_and(|cwd| is_workspace(cwd, given))
    {
        given.values.remove("cwd");
    }
    if given.property("cwd").is_none()
        && let (Some(cwd), Some(command)) = (given.text("cwd"), given.text("command"))
    {
        let command = format!("cd {} && {command}", quoted(cwd));
        given.set("command", command);
        given.values.remove("cwd");
    }
    let wants_words = given
        .node("command")
        .is_some_and(|node| types(node).contains(&"array") && !types(node).contains(&"string"));
    if wants_words && let Some(command) = given.text("command") {
        let words = json!(["bash", "-lc", command]);
        given.set("command", words);
    }
}

/// A command given as words becomes one line, if the client takes a line.
fn join_command(given: &mut ArgumentMap) {
    if given
        .node("command")
        .is_none_or(|node| types(node).contains(&"array"))
    {
        return;
    }
    let words = |value: Option<&Value>| -> Option<Vec<String>> {
        let items = value?.as_array()?.iter();
        items.map(|item| item.as_str().map(str::to_owned)).collect()
    };
    let line = match words(given.values.get("command")) {
        Some(words) => match words.as_slice() {
            [shell, flag, script]
                if shell.ends_with("sh") && matches!(flag.as_str(), "-c" | "-lc") =>
            {
                Some(script.clone())
            }
            words => Some(joined(words)),
        },
        None => None,
    };
    let args = words(given.values.get("args")).filter(|_| given.property("args").is_none());
    let line = match (
        line.or_else(|| given.text("command").map(str::to_owned)),
        args,
    ) {
        (Some(line), Some(args)) => {
            given.values.remove("args");
            Some(format!("{line} {}", joined(&args)))
        }
        (line, _) => line,
    };
    if let Some(line) = line {
        given.set("command", line);
    }
}

fn joined(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    words.join(" ")
}

fn is_workspace(cwd: &str, given: &ArgumentMap) -> bool {
    std::path::Path::new(cwd) == given.workspace || cwd == "."
}

/// A description for clients that demand one, from the command's first words.
fn summary(command: &str) -> String {
    let line = command.lines().next().unwrap_or_default().trim();
    let mut summary: String = line.chars().take(60).collect();
    if summary.len() < line.len() {
        summary.push('…');
    }
    format!("Run {summary}")
}
