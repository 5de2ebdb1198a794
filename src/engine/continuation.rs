//! What a request says of an earlier one: the results it brings, and the conversation it continues.
//!
//! A client sends its whole conversation each time. Only call ids tell that a request belongs to a
//! run that waits: texts drift, and two conversations may open alike.

use std::collections::HashSet;

use xxhash_rust::xxh3::Xxh3;

use crate::turn::{Attachment, Message, Part, Role, ToolResult, Turn};

/// The results at the end of a conversation, and what the user says beside them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Continuation {
    /// In order; of several for one call only the last.
    pub results: Vec<Delivery>,
    /// Texts of the user or the system that stand beside the results.
    pub words: Vec<String>,
}

/// A result and the files that came with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Delivery {
    pub result: ToolResult,
    pub files: Vec<Attachment>,
}

impl Continuation {
    /// `None` if the conversation does not end in results, or brings what no running agent can be
    /// given beside them.
    pub fn of(turn: &Turn) -> Option<Self> {
        let from = turn
            .messages
            .iter()
            .rposition(|message| message.role == Role::Assistant)?
            + 1;
        let found = Self::from(&turn.messages[from..])?;
        (!found.results.is_empty()).then_some(found)
    }

    /// The results and words of these messages; `None` if they bring what no running agent can be
    /// given.
    pub fn from(messages: &[Message]) -> Option<Self> {
        let mut results: Vec<Delivery> = Vec::new();
        let mut words = Vec::new();
        for message in messages {
            for part in &message.parts {
                match part {
                    Part::ToolResult(result) => {
                        results.retain(|earlier| earlier.result.call_id != result.call_id);
                        results.push(Delivery {
                            result: result.clone(),
                            files: Vec::new(),
                        });
                    }
                    Part::Text(text) if text.trim().is_empty() => {}
                    Part::Text(text) => words.push(text.clone()),
                    // A file of the user's has no result that it belongs to.
                    Part::Attachment(file) if message.role == Role::Tool => {
                        results.last_mut()?.files.push(file.clone());
                    }
                    Part::ToolCall(_) | Part::Attachment(_) => return None,
                }
            }
        }
        Some(Self { results, words })
    }

    /// The same for the same results and words, and for nothing else.
    pub fn digest(&self) -> u128 {
        let mut hash = Xxh3::new();
        for Delivery { result, files } in &self.results {
            let error = if result.is_error { "error" } else { "" };
            fields(&mut hash, &[&result.call_id, &result.content, error]);
            for file in files {
                hash.update(&file.bytes);
            }
        }
        for words in &self.words {
            fields(&mut hash, &[words]);
        }
        hash.digest128()
    }
}

/// What tells that a later request is of the same conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fingerprint {
    /// The client's name for the conversation, where it has one.
    name: Option<String>,
    /// How many messages the request had.
    messages: usize,
    digest: u128,
}

impl Fingerprint {
    pub fn of(turn: &Turn) -> Self {
        Self {
            name: turn.conversation.clone(),
            messages: turn.messages.len(),
            digest: digest(&turn.messages),
        }
    }

    /// Whether the turn is the same request again. Of a conversation without a name that is not known:
    /// another may open alike.
    pub fn is_of(&self, turn: &Turn) -> bool {
        self.name.is_some() && self.name == turn.conversation && *self == Self::of(turn)
    }

    /// Whether the turn continues from here, with more said. A request that says the same again may
    /// be another conversation that opens alike.
    pub fn is_begin_of(&self, turn: &Turn) -> bool {
        let names = self.name.as_ref().zip(turn.conversation.as_ref());
        names.is_none_or(|(ours, theirs)| ours == theirs)
            && turn.messages.len() > self.messages
            && digest(&turn.messages[..self.messages]) == self.digest
    }
}

/// The ids of the last calls of a conversation, if nothing follows them but results.
pub(super) fn last_calls(turn: &Turn) -> HashSet<&str> {
    let mut last = turn.messages.iter().rev();
    let last = last.find(|message| message.role != Role::Tool);
    let last = last.filter(|message| message.role == Role::Assistant);
    last.into_iter()
        .flat_map(Message::tool_calls)
        .map(|call| call.id.as_str())
        .collect()
}

/// The ids of all calls and results in a conversation.
pub(super) fn call_ids(turn: &Turn) -> HashSet<&str> {
    let parts = turn.messages.iter().flat_map(|message| &message.parts);
    parts
        .filter_map(|part| match part {
            Part::ToolCall(call) => Some(call.id.as_str()),
            Part::ToolResult(result) => Some(result.call_id.as_str()),
            _ => None,
        })
        .collect()
}

fn digest(messages: &[Message]) -> u128 {
    let mut hash = Xxh3::new();
    for message in messages {
        hash.update(&[message.role as u8]);
        for part in &message.parts {
            match part {
                Part::Text(text) => fields(&mut hash, &[text]),
                Part::ToolCall(call) => {
                    fields(&mut hash, &[&call.id, &call.name, &call.arguments]);
                }
                Part::ToolResult(result) => fields(&mut hash, &[&result.call_id, &result.content]),
                Part::Attachment(file) => hash.update(&file.bytes),
            }
        }
    }
    hash.digest128()
}

/// Lengths keep fields apart.
fn fields(hash: &mut Xxh3, fields: &[&str]) {
    for field in fields {
        hash.update(&field.len().to_le_bytes());
        hash.update(field.as_bytes());
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::turn::ToolCall;

    fn result(id: &str, content: &str) -> Part {
        Part::ToolResult(ToolResult {
            call_id: id.to_owned(),
            name: None,
            content: content.to_owned(),
            is_error: false,
        })
    }

    fn turn(messages: Vec<(Role, Vec<Part>)>) -> Turn {
        let messages = messages
            .into_iter()
            .map(|(role, parts)| Message { role, parts });
        Turn {
            messages: messages.collect(),
            ..Turn::default()
        }
    }

    fn asked(id: &str) -> Vec<(Role, Vec<Part>)> {
        let call = ToolCall {
            id: id.to_owned(),
            name: "read".to_owned(),
            arguments: "{}".to_owned(),
        };
        vec![
            (Role::User, vec![Part::Text("go".to_owned())]),
            (Role::Assistant, vec![Part::ToolCall(call)]),
        ]
    }

    #[test]
    fn results_at_the_end_and_the_words_beside_them() {
        let mut messages = asked("a");
        assert_eq!(Continuation::of(&turn(messages.clone())), None);
        messages.push((Role::Tool, vec![result("a", "old")]));
        messages.push((Role::Tool, vec![result("b", "x"), result("a", "new")]));
        messages.push((Role::User, vec![Part::Text("and hurry".to_owned())]));
        let found = Continuation::of(&turn(messages.clone())).unwrap();
        let ids: Vec<_> = found
            .results
            .iter()
            .map(|r| (&*r.result.call_id, &*r.result.content))
            .collect();
        assert_eq!(ids, [("b", "x"), ("a", "new")]);
        assert_eq!(found.words, ["and hurry"]);
        let again = Continuation::of(&turn(messages.clone())).unwrap();
        assert_eq!(found.digest(), again.digest());
        messages.push((Role::User, vec![Part::Text("!".to_owned())]));
        let other = Continuation::of(&turn(messages.clone())).unwrap();
        assert_ne!(found.digest(), other.digest());
        messages.push((Role::Assistant, vec![Part::Text("done".to_owned())]));
        assert_eq!(
            Continuation::of(&turn(messages)),
            None,
            "they are not the last word"
        );
    }

    #[test]
    fn a_conversation_goes_on_if_it_says_more() {
        let begin = turn(asked("a"));
        let print = Fingerprint::of(&begin);
        assert!(!print.is_begin_of(&begin));
        let mut more = asked("a");
        more.push((Role::User, vec![Part::Text("stop".to_owned())]));
        let mut more = turn(more);
        assert!(print.is_begin_of(&more));
        let named = Fingerprint::of(&Turn {
            conversation: Some("one".to_owned()),
            ..begin
        });
        assert!(named.is_begin_of(&more), "one of them has no name");
        more.conversation = Some("two".to_owned());
        assert!(!named.is_begin_of(&more));
        let mut other = asked("b");
        other.push((Role::User, Vec::new()));
        assert!(!print.is_begin_of(&turn(other)));
    }
}
