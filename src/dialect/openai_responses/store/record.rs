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
    role: String,
    parts: Vec<StoredPart>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredPart {
    Text(String),
    Call {
        id: String,
        name: String,
        arguments: String,
    },
    Result {
        call_id: String,
        name: Option<String>,
        content: String,
        is_error: bool,
    },
    File {
        extension: String,
        base64: String,
    },
}

const ROLES: &[(Role, &str)] = &[
    (Role::System, "system"),
    (Role::User, "user"),
    (Role::Assistant, "assistant"),
    (Role::Tool, "tool"),
];

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
    pub fn messages(&self) -> Option<Vec<Message>> {
        self.said.iter().map(StoredMessage::message).collect()
    }
}

impl From<&Message> for StoredMessage {
    fn from(message: &Message) -> Self {
        let role = ROLES.iter().find(|(role, _)| *role == message.role);
        Self {
            role: role.map_or("", |(_, name)| name).to_owned(),
            parts: message.parts.iter().map(StoredPart::from).collect(),
        }
    }
}

impl StoredMessage {
    fn message(&self) -> Option<Message> {
        let (role, _) = ROLES.iter().find(|(_, name)| *name == self.role)?;
        let parts = self.parts.iter().map(StoredPart::part);
        Some(Message {
            role: *role,
            parts: parts.collect::<Option<_>>()?,
        })
    }
}

impl From<&Part> for StoredPart {
    fn from(part: &Part) -> Self {
        match part.clone() {
            Part::Text(text) => Self::Text(text),
            Part::ToolCall(call) => Self::Call {
                id: call.id,
                name: call.name,
                arguments: call.arguments,
            },
            Part::ToolResult(result) => Self::Result {
                call_id: result.call_id,
                name: result.name,
                content: result.content,
                is_error: result.is_error,
            },
            Part::Attachment(file) => Self::File {
                extension: file.extension.to_owned(),
                base64: STANDARD.encode(file.bytes),
            },
        }
    }
}

impl StoredPart {
    fn part(&self) -> Option<Part> {
        Some(match self {
            Self::Text(text) => Part::Text(text.clone()),
            Self::Call {
                id,
                name,
                arguments,
            } => Part::ToolCall(ToolCall {
                id: id.clone(),
                name: name.clone(),
                arguments: arguments.clone(),
            }),
            Self::Result {
                call_id,
                name,
                content,
                is_error,
            } => Part::ToolResult(ToolResult {
                call_id: call_id.clone(),
                name: name.clone(),
                content: content.clone(),
                is_error: *is_error,
            }),
            Self::File { extension, base64 } => Part::Attachment(Attachment {
                extension: EXTENSIONS.iter().find(|known| *known == extension)?,
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
        let messages: Vec<_> = ROLES
            .iter()
            .map(|(role, _)| Message {
                role: *role,
                parts: parts.clone(),
            })
            .collect();
        let output = vec![json!({"id": "i"})];
        let text = serde_json::to_string(&StoredResponse::new(
            vec!["b".to_owned()],
            &messages,
            output.clone(),
        ));
        let read: StoredResponse = serde_json::from_str(&text.unwrap()).unwrap();
        assert_eq!(read.messages().unwrap(), messages);
        assert_eq!((read.before, read.output), (vec!["b".to_owned()], output));
    }

    #[test]
    fn what_another_version_wrote_is_not_guessed() {
        let part = json!({"file": {"extension": "exe", "base64": ""}});
        let text = json!({"before": [], "output": [], "said": [{"role": "user", "parts": [part]}]});
        let read: StoredResponse = serde_json::from_value(text).unwrap();
        assert!(read.messages().is_none());
    }
}
