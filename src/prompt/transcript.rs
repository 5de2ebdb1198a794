//! The conversation so far, with each tool result right after the call that it answers.

use std::borrow::Cow;

use super::fence::{attribute, block};
use crate::turn::{Attachment, Message, Part, Results, Role, ToolResult, Turn};

/// What stands in for a result that the client never sent.
const NO_RESULT: &str = "(the caller supplied no result for this call)";

/// Appends these messages of the turn.
pub fn section(turn: &Turn, messages: &[Message], out: &mut String) {
    let mut results = Results::new(&turn.messages);
    if results.doubled > 0 {
        let doubled = results.doubled;
        tracing::warn!(doubled, "calls have several results; the last ones count");
    }
    for message in messages {
        match message.role {
            Role::System => text_blocks("SYSTEM", message, out),
            Role::Assistant => assistant(message, &mut results, out),
            // Results that came in a user's message stand before what the user says to them.
            Role::User | Role::Tool => {
                append_unclaimed(message, &mut results, out);
                let is_user = message.role == Role::User;
                text_blocks(if is_user { "USER" } else { "TOOL_FILES" }, message, out);
            }
        }
    }
}

/// Appends the message's text, files named where they stood, as one block; nothing if it has none.
pub fn text_blocks(kind: &str, message: &Message, out: &mut String) {
    let mut text = String::new();
    for part in &message.parts {
        let piece = match part {
            Part::Text(piece) => Cow::Borrowed(piece.as_str()),
            Part::Attachment(file) => Cow::Owned(note(file)),
            Part::ToolCall(_) | Part::ToolResult(_) => continue,
        };
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&piece);
    }
    if !text.is_empty() {
        block(kind, &text, out);
    }
}

/// What stands in the text for a file.
fn note(file: &Attachment) -> String {
    let kind = match file.extension {
        "txt" => "text file",
        _ => "image",
    };
    match &file.file {
        Some(path) => format!(
            "[attached {kind}: {}; look at it with your read tool]",
            path.display()
        ),
        // The agent has nothing to read files with.
        None if file.extension == "txt" => {
            format!(
                "[attached text file]\n{}",
                String::from_utf8_lossy(&file.bytes)
            )
        }
        None => format!("[attached {kind}]"),
    }
}

fn assistant(message: &Message, results: &mut Results<'_>, out: &mut String) {
    text_blocks("ASSISTANT", message, out);
    for call in message.tool_calls() {
        let header = format!(
            "TOOL_CALL (call_id: {}, name: {})",
            attribute(&call.id),
            attribute(&call.name)
        );
        block(&header, &call.arguments, out);
    }
    for call in message.tool_calls() {
        match results.claim(call) {
            Some(result) => append(result, &call.name, out),
            None => block(&result_header(&call.id, &call.name), NO_RESULT, out),
        }
    }
}

fn append(result: &ToolResult, name: &str, out: &mut String) {
    let mut header = result_header(&result.call_id, name);
    if result.is_error {
        header.push_str(" (error)");
    }
    block(&header, &result.content, out);
}

fn result_header(call_id: &str, name: &str) -> String {
    format!(
        "TOOL_RESULT (call_id: {}, name: {})",
        attribute(call_id),
        attribute(name)
    )
}

/// Appends those of the message's results that belong to no call we know.
fn append_unclaimed(message: &Message, results: &mut Results<'_>, out: &mut String) {
    for result in message.tool_results() {
        if let Some(result) = results.take(result) {
            append(result, result.name.as_deref().unwrap_or("unknown"), out);
        }
    }
}
