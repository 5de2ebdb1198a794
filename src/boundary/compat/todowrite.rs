//! The list of things to do.

use serde_json::{Map, Value, json};

use super::Compat;
use super::fields::{Argument, ArgumentMap, field};
use super::items::{canonical, items};
use crate::boundary::alias::{fold, has};
use crate::boundary::schema::types;

pub(super) const TOOL: Compat = Compat {
    family: "todowrite",
    essential: "todos",
    fields: &[
        field("todos", "todos todolist items plan tasks checklist"),
        field("operation", "operation action"),
        field("merge", "merge"),
    ],
    prepare,
    complete: |given, field| match field {
        "operation" => Some(json!("write")),
        "merge" => Some(json!(false)),
        "todos" if given.native => Some(json!([])),
        _ => None,
    },
};

const STATUS: Argument = field("status", "status state");

const ITEM: &[Argument] = &[
    field("content", "content step title text task todo description"),
    field("active", "activeform"),
    STATUS,
    field("priority", "priority"),
    field("id", "id"),
];

/// The states, with the folded names that agents and clients have for them.
const STATES: &[(&str, &str)] = &[
    ("pending", "pending todo notstarted open"),
    ("in_progress", "inprogress doing active started"),
    ("completed", "completed done complete finished"),
    ("cancelled", "cancelled canceled"),
];

fn prepare(given: &mut ArgumentMap) {
    let states = given.item("todos").and_then(|item| {
        let properties = item.get("properties")?.as_object()?;
        let mut properties = properties.iter();
        let (_, node) = properties.find(|(name, _)| has(STATUS.names, &fold(name)))?;
        Some(node.get("enum")?.as_array()?.clone())
    });
    let mut number = 0;
    items(given, "todos", ITEM, |item| {
        let status = item
            .get("status")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let Some(status) = state(status, states.as_deref()) else {
            // The client's list knows no such state (cancelled): the item leaves the list.
            return false;
        };
        item.insert("status".to_owned(), status);
        number += 1;
        complete(item, number);
        true
    });
    if given.native {
        given.values.remove("merge");
    }
    let wants_text = given
        .node("todos")
        .is_some_and(|node| types(node) == ["string"]);
    if wants_text && let Some(list) = checklist(given) {
        given.set("todos", list);
    }
}

/// The list as Markdown, for clients that take it so.
fn checklist(given: &ArgumentMap) -> Option<String> {
    let lines = given.values.get("todos")?.as_array()?.iter().map(|item| {
        let item = canonical(item.as_object()?, ITEM);
        let mark = match fold(item.get("status")?.as_str()?).as_str() {
            folded if folded.ends_with("completed") => 'x',
            folded if folded.ends_with("inprogress") => '-',
            _ => ' ',
        };
        Some(format!("[{mark}] {}", item.get("content")?.as_str()?))
    });
    let lines: Option<Vec<String>> = lines.collect();
    Some(lines?.join("\n"))
}

/// What a client may demand of an item beyond what the agent gives.
fn complete(item: &mut Map<String, Value>, number: usize) {
    let content = item.get("content").cloned().unwrap_or(json!(""));
    item.entry("active").or_insert(content);
    let blank = item
        .get("priority")
        .is_none_or(|p| p.as_str().is_some_and(|p| p.trim().is_empty()));
    if blank {
        item.insert("priority".to_owned(), json!("medium"));
    }
    item.entry("id")
        .or_insert_with(|| json!(number.to_string()));
}

/// A state in the client's words: of its enum where it has one.
fn state(status: &str, allowed: Option<&[Value]>) -> Option<Value> {
    let folded = fold(status);
    let folded = folded.strip_prefix("todostatus").unwrap_or(&folded);
    let row = STATES.iter().find(|(_, names)| has(names, folded));
    match (row, allowed) {
        (Some((_, names)), Some(allowed)) => {
            let is_it = |value: &&Value| value.as_str().is_some_and(|v| has(names, &fold(v)));
            allowed.iter().find(is_it).cloned()
        }
        (Some((name, _)), None) => Some(json!(name)),
        (None, _) if status.is_empty() => Some(json!("pending")),
        (None, _) => Some(json!(status)),
    }
}
