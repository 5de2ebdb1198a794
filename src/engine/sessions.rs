//! Going on with Cursor's own chats (`--resume`), where it is proven that they hold the conversation.
//!
//! A chat is known by what it was told: a digest of the whole conversation up to the answer that it
//! ended with. It is taken for a request whose conversation begins with just that, in the same
//! workspace, with the same model and tools; then only the rest is told. Whatever does not match is
//! no error: the run gets the whole conversation.
//!
//! Only a run that came to its own end, with nothing left for the client to execute, makes a chat
//! known: what Cursor keeps of one that we stopped can't be told from outside. A chat is taken by
//! one run at a time. Side requests, such as titles, match nothing and are in nobody's way.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use xxhash_rust::xxh3::Xxh3;

use crate::turn::{Delta, Message, Part, Role, ToolSpec, Turn};

/// How many chats are known.
const KNOWN: usize = 64;

/// How long a chat stays known.
const LIFE: Duration = Duration::from_secs(3600);

/// The chats that can be gone on with, and those that will be.
#[derive(Debug)]
pub(super) struct Sessions {
    on: bool,
    /// The most recent last.
    known: Mutex<Vec<Known>>,
}

#[derive(Debug)]
struct Known {
    chat: String,
    told: Told,
    since: Instant,
}

/// What a chat was told.
#[derive(Debug, Clone, PartialEq)]
struct Told {
    circumstances: Circumstances,
    conversation: u128,
}

/// What must be the same for a chat to go on.
#[derive(Debug, Clone, PartialEq)]
struct Circumstances {
    workspace: PathBuf,
    model: String,
    tools: u128,
    /// The client's name for the conversation, where it has one.
    name: Option<String>,
}

/// A chat to go on with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Resumed {
    /// Cursor's id.
    pub chat: String,
    /// How many of the turn's messages it holds.
    pub messages: usize,
}

impl Sessions {
    pub fn new(on: bool) -> Self {
        Self {
            on,
            known: Mutex::default(),
        }
    }

    /// Begins to note what a run is told; `None` if its chat is not to be known later.
    pub fn note(&self, turn: &Turn, workspace: &Path, model: &str) -> Option<Box<Note>> {
        let is_file = |part: &Part| matches!(part, Part::Attachment(_));
        // Attached files are gone with the run, and a chat only knows their paths.
        if !self.on || turn.messages.iter().any(|m| m.parts.iter().any(is_file)) {
            return None;
        }
        let mut conversation = Digest::default();
        for message in &turn.messages {
            conversation.message(message);
        }
        conversation.role(Role::Assistant);
        Some(Box::new(Note {
            circumstances: Circumstances::of(turn, workspace, model),
            conversation,
            result: None,
        }))
    }

    /// Takes the chat that holds most of this conversation, if one does.
    pub fn take(&self, turn: &Turn, workspace: &Path, model: &str) -> Option<Resumed> {
        if !self.on {
            return None;
        }
        let circumstances = Circumstances::of(turn, workspace, model);
        // A conversation can be megabytes, and the others need not wait for that.
        let answered = answered(turn);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|known| known.since.elapsed() < LIFE);
        let found = answered.into_iter().rev().find_map(|(messages, digest)| {
            let told = |known: &Known| {
                known.told.conversation == digest && known.told.circumstances == circumstances
            };
            Some((known.iter().rposition(told)?, messages))
        });
        let (at, messages) = found?;
        let chat = known.remove(at).chat;
        Some(Resumed { chat, messages })
    }

    /// From now on the chat is known to hold what was noted.
    pub fn learn(&self, chat: String, note: Box<Note>) {
        let told = Told {
            conversation: note.conversation.finish(),
            circumstances: note.circumstances,
        };
        let since = Instant::now();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|known| known.chat != chat && known.told != told);
        if known.len() >= KNOWN {
            known.remove(0);
        }
        known.push(Known { chat, told, since });
    }
}

/// How many messages there are up to the end of each answer that something follows, and a digest of
/// the conversation up to there.
fn answered(turn: &Turn) -> Vec<(usize, u128)> {
    let mut conversation = Digest::default();
    let mut ends = Vec::new();
    for (at, pair) in turn.messages.windows(2).enumerate() {
        conversation.message(&pair[0]);
        if pair[0].role == Role::Assistant && pair[1].role != Role::Assistant {
            ends.push((at + 1, conversation.finish()));
        }
    }
    ends
}

impl Circumstances {
    fn of(turn: &Turn, workspace: &Path, model: &str) -> Self {
        Self {
            workspace: workspace.to_owned(),
            model: model.to_owned(),
            tools: tools(turn),
            name: turn.conversation.clone(),
        }
    }
}

/// What a run is told, and what it answers.
pub(super) struct Note {
    circumstances: Circumstances,
    conversation: Digest,
    /// A digest of the answer as Cursor keeps it, once it has come to its own end.
    result: Option<u128>,
}

impl Note {
    /// Adds a piece of the answer.
    pub fn delta(&mut self, delta: &Delta) {
        if let Delta::Text(text) = delta {
            self.conversation.text(text);
        }
    }

    /// Takes the answer as Cursor keeps it.
    pub fn result(&mut self, text: &str) {
        let mut whole = Digest::default();
        whole.role(Role::Assistant);
        whole.text(text);
        self.result = Some(whole.said.digest128());
    }

    /// Whether the client got the very answer that Cursor keeps.
    pub fn is_whole(&self) -> bool {
        self.result == Some(self.conversation.said.digest128())
    }
}

/// A digest of a conversation. What one speaker says in several messages or parts is one speech:
/// clients send an answer back in other pieces than they got it.
#[derive(Default)]
struct Digest {
    /// All finished speeches.
    before: Xxh3,
    speaker: Option<Role>,
    said: Xxh3,
    /// Calls and results, in their order, wherever in the text they stood.
    done: Xxh3,
}

impl Digest {
    fn role(&mut self, role: Role) {
        if self.speaker != Some(role) {
            let before = self.finish();
            *self = Self::default();
            self.before.update(&before.to_le_bytes());
            self.speaker = Some(role);
        }
    }

    fn message(&mut self, message: &Message) {
        self.role(message.role);
        for part in &message.parts {
            match part {
                Part::Text(text) => self.text(text),
                Part::ToolCall(call) => {
                    field(&mut self.done, &[&call.id, &call.name, &call.arguments])
                }
                Part::ToolResult(result) => {
                    let error = if result.is_error { "error" } else { "" };
                    field(&mut self.done, &[&result.call_id, &result.content, error]);
                }
                Part::Attachment(file) => {
                    field(&mut self.done, &[file.extension]);
                    self.done.update(&file.bytes);
                }
            }
        }
    }

    /// White space in an answer does not count: clients trim it, or join its pieces by it.
    fn text(&mut self, text: &str) {
        if self.speaker == Some(Role::Assistant) {
            for word in text.split_ascii_whitespace() {
                self.said.update(word.as_bytes());
            }
        } else {
            field(&mut self.said, &[text]);
        }
    }

    fn finish(&self) -> u128 {
        let mut all = Xxh3::new();
        all.update(&self.before.digest128().to_le_bytes());
        all.update(&[self.speaker.map_or(0, |role| role as u8 + 1)]);
        all.update(&self.said.digest128().to_le_bytes());
        all.update(&self.done.digest128().to_le_bytes());
        all.digest128()
    }
}

/// Lengths keep fields apart.
fn field(hash: &mut Xxh3, fields: &[&str]) {
    for field in fields {
        hash.update(&field.len().to_le_bytes());
        hash.update(field.as_bytes());
    }
}

/// All that a prompt says of tools.
fn tools(turn: &Turn) -> u128 {
    let mut hash = Xxh3::new();
    for ToolSpec {
        name,
        description,
        schema,
    } in &turn.tools
    {
        field(&mut hash, &[name, description, &schema.to_string()]);
    }
    let choice = format!("{:?} {}", turn.tool_choice, turn.parallel_tool_calls);
    field(&mut hash, &[&choice]);
    hash.digest128()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
