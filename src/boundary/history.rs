//! What the conversation tells of earlier calls.
//!
//! The server keeps no state: whatever has to be known of earlier turns is read from the request's
//! own messages.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::alias::{families, fold};
use super::guard::{Outcome, classify};
use crate::turn::{Part, Results, Role, Turn};

/// One earlier call and how it went.
#[derive(Debug, Clone)]
pub(super) struct Past {
    pub name: String,
    pub args: Map<String, Value>,
    pub outcome: Outcome,
    /// What the tool answered; empty if no result came.
    pub content: String,
}

impl Past {
    fn is(&self, family: &str) -> bool {
        families(&fold(&self.name)).any(|of| of == family)
    }

    /// Whether the file is one of the arguments.
    fn names(&self, path: &str, workspace: &Path) -> bool {
        let clean = |path: &str| {
            let path = path.trim_start_matches("./");
            workspace.join(path).into_os_string()
        };
        let wanted = clean(path);
        let mut args = self.args.values().filter_map(Value::as_str);
        args.any(|arg| clean(arg) == wanted)
    }

    fn succeeded(&self) -> bool {
        self.outcome == Outcome::Success
    }
}

/// Earlier calls, by the answers that made them.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    /// The calls of each answer that made any, in order.
    rounds: Vec<Vec<Past>>,
    /// How many of the rounds came before the user last spoke.
    settled: usize,
}

impl History {
    pub(super) fn new(turn: &Turn) -> Self {
        let mut results = Results::new(&turn.messages);
        let mut history = Self::default();
        for message in &turn.messages {
            let speaks = message.role == Role::User
                && message
                    .parts
                    .iter()
                    .any(|part| matches!(part, Part::Text(_) | Part::Attachment(_)));
            if speaks {
                history.settled = history.rounds.len();
            }
            let round: Vec<Past> = message
                .tool_calls()
                .map(|call| {
                    let result = results.claim(call);
                    Past {
                        name: call.name.clone(),
                        args: serde_json::from_str(&call.arguments).unwrap_or_default(),
                        outcome: result.map_or(Outcome::Unknown, classify),
                        content: result.map(|r| r.content.clone()).unwrap_or_default(),
                    }
                })
                .collect();
            if !round.is_empty() {
                history.rounds.push(round);
            }
        }
        history
    }

    /// The rounds since the user last spoke.
    pub(super) fn recent(&self) -> &[Vec<Past>] {
        &self.rounds[self.settled..]
    }

    fn calls(&self) -> impl DoubleEndedIterator<Item = &Past> {
        self.rounds.iter().flatten()
    }

    /// Whether the client has read the file.
    pub(super) fn has_read(&self, path: &str, workspace: &Path) -> bool {
        let read = |past: &Past| past.is("read") && past.succeeded();
        self.calls()
            .any(|past| read(past) && past.names(path, workspace))
    }

    /// Whether the transcript shows that there is no such file: the last call about this path
    /// deleted it or did not find it, and nothing since has shown the path.
    pub(super) fn is_missing(&self, path: &str, workspace: &Path) -> bool {
        let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
        for past in self.calls().rev() {
            if past.names(path, workspace) {
                return match past.outcome {
                    Outcome::NotFound => past.is("read") || past.is("stat") || past.is("edit"),
                    Outcome::Success => past.is("delete"),
                    _ => false,
                };
            }
            // What is not known to leave it alone may have made it, and may show it.
            let harmless = ["read", "write", "edit", "grep", "glob", "list", "todowrite"]
                .iter()
                .any(|family| past.is(family));
            if !harmless || past.content.contains(name) {
                return false;
            }
        }
        false
    }

    /// Completes a partial update of the list of things to do: the client's tool takes the whole
    /// list, as it stood after the last call that set it.
    pub(super) fn merge_todos(&self, args: &mut Map<String, Value>) {
        let last = self
            .calls()
            .rev()
            .find(|past| past.is("todowrite") && past.succeeded())
            .and_then(|past| past.args.values().find_map(Value::as_array));
        let (Some(last), Some(Value::Array(update))) = (last, args.get("todos")) else {
            return;
        };
        let content = |item: &Value| {
            ["content", "step", "title", "text"]
                .iter()
                .find_map(|key| item.get(*key)?.as_str())
                .unwrap_or_default()
                .to_owned()
        };
        let mut todos = last.clone();
        for item in update {
            let text = content(item);
            let number = item
                .get("id")
                .and_then(Value::as_str)
                .and_then(|id| id.parse().ok());
            let at = match text.is_empty() {
                false => todos.iter().position(|known| content(known) == text),
                // Only Cursor numbers its items, from 1.
                true => number
                    .and_then(|n: usize| n.checked_sub(1))
                    .filter(|at| *at < todos.len()),
            };
            match at {
                Some(at) => todos[at]["status"] = item.get("status").cloned().unwrap_or(json!("")),
                None if !text.is_empty() => todos.push(item.clone()),
                None => {}
            }
        }
        args.insert("todos".to_owned(), Value::Array(todos));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
