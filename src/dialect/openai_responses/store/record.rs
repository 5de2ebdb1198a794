//! A response as a text that another server can read.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::turn::{Attachment, Message, Part, Role, ToolCall, ToolResult};

/// What is kept of a response.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredResponse {
    /// The ids of those before it in the conversation, the first one first.
    pub before: Vec<String>,
    /// What the request said.
    said: Vec<StoredMessage>,
    /// The items of the answer.
    pub output: Vec<Value>,
}

#[derive(Debug, Serialize, Deserialize)]
struct StoredMessage {
    role: Role,
    parts: Vec<StoredPart>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredPart {
    Text(String),
    Call(ToolCall),
    Result(ToolResult),
    File { extension: String, base64: String },
}

/// The ends of names that attachments may have.
const EXTENSIONS: &[&str] = &["png", "jpg", "gif", "webp", "txt"];

impl StoredResponse {
    pub fn new(before: Vec<String>, said: &[Message], output: Vec<Value>) -> Self {
        Self {
            before,
            said: said.iter().map(StoredMessage::from).collect(),
            output,
        }
    }

    /// What the request said; `None` if another version wrote something unknown.
    pub fn messages(self) -> Option<Vec<Message>> {
        let said = self.said.into_iter();
        said.map(StoredMessage::message).collect()
    }
}

impl From<&Message> for StoredMessage {
    fn from(message: &Message) -> Self {
        Self {
            role: message.role,
            parts: message.parts.iter().map(StoredPart::from).collect(),
        }
    }
}

impl StoredMessage {
    fn message(self) -> Option<Message> {
        let parts = self.parts.into_iter().map(StoredPart::part);
        Some(Message {
            role: self.role,
            parts: parts.collect::<Option<_>>()?,
        })
    }
}

impl From<&Part> for StoredPart {
    fn from(part: &Part) -> Self {
        match part.clone() {
            Part::Text(text) => Self::Text(text),
            Part::ToolCall(call) => Self::Call(call),
            Part::ToolResult(result) => Self::Result(result),
            Part::Attachment(file) => Self::File {
                extension: file.extension.to_owned(),
                base64: STANDARD.encode(file.bytes),
            },
        }
    }
}

impl StoredPart {
    fn part(self) -> Option<Part> {
        Some(match self {
            Self::Text(text) => Part::Text(text),
            Self::Call(call) => Part::ToolCall(call),
            Self::Result(result) => Part::ToolResult(result),
            Self::File { extension, base64 } => Part::Attachment(Attachment {
                extension: EXTENSIONS.iter().find(|known| **known == extension)?,
                bytes: STANDARD.decode(base64).ok()?.into(),
                file: None,
            }),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let parts = vec![
            Part::Text("a\n\u{0}ü".to_owned()),
            Part::ToolCall(ToolCall {
                id: "c".to_owned(),
                name: "ls".to_owned(),
                arguments: "{".to_owned(),
            }),
            Part::ToolResult(ToolResult {
                call_id: "c".to_owned(),
                name: None,
                content: "x".to_owned(),
                is_error: true,
            }),
        ];
        let file = |extension| {
            Part::Attachment(Attachment {
                extension,
                bytes: vec![0, 255, 1].into(),
                file: None,
            })
        };
        let files = EXTENSIONS.iter().map(|extension| file(extension));
        let parts: Vec<Part> = parts.into_iter().chain(files).collect();
        let messages = [Role::System, Role::User, Role::Assistant, Role::Tool].map(|role| {
            let parts = parts.clone();
            Message { role, parts }
        });
        let output = vec![json!({"id": "i"})];
        let text = serde_json::to_string(&StoredResponse::new(
            vec!["b".to_owned()],
            &messages,
            output.clone(),
        ));
        let read: StoredResponse = serde_json::from_str(&text.unwrap()).unwrap();
        assert_eq!(
            (&read.before, &read.output),
            (&vec!["b".to_owned()], &output)
        );
        assert_eq!(read.messages().unwrap(), messages);
    }

    #[test]
    fn what_another_version_wrote_is_not_guessed() {
        let part = json!({"file": {"extension": "exe", "base64": ""}});
        let text = json!({"before": [], "output": [], "said": [{"role": "user", "parts": [part]}]});
        let read: StoredResponse = serde_json::from_value(text).unwrap();
        assert!(read.messages().is_none());
    }
}
