//! About how many tokens a text has. Only the vendors know, and each counts differently.

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
        .map(|tool| tool.name.len() + tool.description.len() + tool.schema.text_len());
    let bytes: usize = content.chain(tools).sum();
    (bytes as u64).div_ceil(BYTES_PER_TOKEN)
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
