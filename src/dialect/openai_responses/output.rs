//! The items of a response.

use serde_json::{Value, json};

use crate::{
    dialect::tools::{Form, Forms},
    turn::ToolCall,
};

/// The kinds of items that grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemKind {
    Message,
    Reasoning,
}

/// The model's text.
pub fn message(id: &str, text: &str, status: &str) -> Value {
    let content = match (text, status) {
        ("", "in_progress") => json!([]),
        _ => json!([text_part(text)]),
    };
    json!({
        "id": id, "type": "message", "status": status, "role": "assistant", "content": content,
    })
}

/// The one part of a message.
pub fn text_part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

/// The model's reasoning.
pub fn reasoning(id: &str, text: &str) -> Value {
    let summary = match text {
        "" => json!([]),
        text => json!([summary_part(text)]),
    };
    json!({"id": id, "type": "reasoning", "summary": summary})
}

/// The one part of a reasoning item.
pub fn summary_part(text: &str) -> Value {
    json!({"type": "summary_text", "text": text})
}

/// A call as it begins and as it is, with the names of the events that tell its input.
pub struct CallItem {
    pub empty: Value,
    pub full: Value,
    /// `response.<this>.delta` and `.done`.
    pub event: String,
    /// The member that holds the input.
    pub member: &'static str,
    pub input: String,
}

impl CallItem {
    pub fn new(id: &str, call: &ToolCall, forms: &Forms) -> Self {
        let form = forms.get(&call.name);
        let is_text = form.is_some_and(|form| form.is_text);
        let (kind, member, prefix, input) = if is_text {
            let input = Form::text(&call.arguments);
            ("custom_tool_call", "input", "ctc", input)
        } else {
            let input = call.arguments.clone();
            ("function_call", "arguments", "fc", input)
        };
        let name = form.map_or(call.name.as_str(), |form| form.name.as_str());
        let mut empty = json!({
            "id": format!("{prefix}_{id}"), "type": kind, "status": "in_progress",
            "call_id": call.id, "name": name,
        });
        if let Some(namespace) = form.and_then(|form| form.namespace.as_deref()) {
            empty["namespace"] = namespace.into();
        }
        empty[member] = "".into();
        let mut full = empty.clone();
        full["status"] = "completed".into();
        full[member] = input.as_str().into();
        Self {
            empty,
            full,
            event: format!("{kind}_{member}"),
            member,
            input,
        }
    }
}
