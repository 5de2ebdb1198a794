//! About how many tokens a text has. Only the vendors know, and each counts differently.

use serde_json::Value;

use super::{Part, Turn};

/// Bytes of UTF-8 to a token: right within some 20 % for English prose and code.
pub const BYTES_PER_TOKEN: u64 = 4;

/// What an image counts as, in bytes of text: vendors take 1000 to 1600 tokens for a screenshot.
const IMAGE: usize = 1000 * BYTES_PER_TOKEN as usize;

/// About how many tokens the whole request is for the model: conversation and tools.
#[must_use]
pub fn estimate_tokens(turn: &Turn) -> u64 {
    let parts = turn.messages.iter().flat_map(|message| &message.parts);
    let content = parts.map(|part| match part {
        Part::Text(text) => text.len(),
        Part::ToolCall(call) => call.name.len() + call.arguments.len(),
        Part::ToolResult(result) => result.content.len(),
        Part::Attachment(file) if file.extension == "txt" => file.bytes.len(),
        Part::Attachment(_) => IMAGE,
    });
    let tools = turn
        .tools
        .iter()
        .map(|tool| tool.name.len() + tool.description.len() + written(&tool.schema));
    let bytes: usize = content.chain(tools).sum();
    (bytes as u64).div_ceil(BYTES_PER_TOKEN)
}

/// About how long a value is as JSON: what is escaped counts as it is.
fn written(value: &Value) -> usize {
    let enclosed = |inner: usize, count: usize| 2 + inner + count.saturating_sub(1);
    match value {
        Value::Null | Value::Bool(true) | Value::Number(_) => 4,
        Value::Bool(false) => 5,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => enclosed(items.iter().map(written).sum(), items.len()),
        Value::Object(members) => {
            let inner = members
                .iter()
                .map(|(key, value)| key.len() + 3 + written(value));
            enclosed(inner.sum(), members.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::turn::{Message, Role, ToolSpec};

    #[test]
    fn grows_with_the_conversation() {
        let mut turn = Turn::default();
        assert_eq!(estimate_tokens(&turn), 0);
        turn.messages.push(Message::text(Role::User, "12345678"));
        assert_eq!(estimate_tokens(&turn), 2);
        turn.messages.push(Message::text(Role::User, "9"));
        assert_eq!(estimate_tokens(&turn), 3);
        let schema = serde_json::json!({
            "type": "object", "title": "ü", "a": [], "b": {}, "c": [null, true, false, 1234], "d": {"e": "f"},
        });
        let length = schema.to_string().len();
        turn.tools.push(ToolSpec {
            name: "n".to_owned(),
            description: "de".to_owned(),
            schema: schema.into(),
        });
        assert_eq!(estimate_tokens(&turn), (9 + 3 + length as u64).div_ceil(4));
    }
}
