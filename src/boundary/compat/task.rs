//! Subagents.

use serde_json::{Value, json};

use super::Compat;
use super::fields::{ArgumentMap, field};
use crate::boundary::alias::fold;

pub(super) const TOOL: Compat = Compat {
    family: "task",
    essential: "prompt",
    fields: &[
        field("description", "description title name taskname"),
        field("prompt", "prompt message task instructions input"),
        field(
            "agent",
            "subagenttype agenttype agent agentname subagent mode role",
        ),
        field("resume", "taskid resume sessionid"),
    ],
    prepare,
    complete: |given, field| match field {
        "agent" => Some(json!(agent(given, "general"))),
        "description" => {
            let words: Vec<&str> = given.text("prompt")?.split_whitespace().take(5).collect();
            Some(json!(words.join(" ")))
        }
        _ => None,
    },
};

fn prepare(given: &mut ArgumentMap) {
    let Some(value) = given.values.get("agent") else {
        return;
    };
    let name = match value {
        Value::String(name) => name.clone(),
        Value::Object(arm) => match arm.iter().next() {
            Some((_, Value::String(name))) => name.clone(),
            Some((arm, Value::Object(inner))) => inner
                .get("name")
                .and_then(Value::as_str)
                .map_or_else(|| arm.clone(), str::to_owned),
            _ => String::new(),
        },
        _ => return,
    };
    let name = match name.as_str() {
        // Cursor's own kinds of subagent that clients don't have.
        "" | "unspecified" | "shell" | "generalPurpose" => "general",
        name => name,
    };
    let name = agent(given, name);
    given.set("agent", name);
}

/// The client's name for an agent: of its enum, or as its description spells it.
fn agent(given: &ArgumentMap, wanted: &str) -> String {
    let choices: Vec<String> = match given.node("agent").and_then(|node| node.get("enum")) {
        Some(Value::Array(names)) => names
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        _ => given
            .tool
            .description
            .split(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_'))
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect(),
    };
    let closed = given
        .node("agent")
        .is_some_and(|node| node.get("enum").is_some());
    let like = |wanted: &str| {
        choices
            .iter()
            .find(|name| fold(name) == fold(wanted))
            .cloned()
    };
    like(wanted)
        .or_else(|| {
            (wanted == "general")
                .then(|| like("general-purpose"))
                .flatten()
        })
        .or_else(|| closed.then(|| choices.first().cloned()).flatten())
        .unwrap_or_else(|| wanted.to_owned())
}
