//! Calls of ours that a client never saw, for the conversation that it sends back.
//!
//! An answer may hold rounds of our calls and then ask for a tool of the client's. A run that waits
//! knows them by itself; a fresh one would do the same work again. So they are kept by the ids of
//! the client's calls, and put back before these. It is a cache: without it the model only asks again.

use std::{collections::VecDeque, sync::Mutex};

use crate::{
    threads::lock,
    turn::{Message, Part, Role, ToolCall},
};

/// Of how many answers they are kept.
const MOST: usize = 64;

/// How many bytes of results are kept in all.
const MOST_BYTES: usize = 16 << 20;

/// What is kept of the latest answers, the oldest first.
#[derive(Debug, Default)]
pub struct Rounds(Mutex<VecDeque<KeptRounds>>);

#[derive(Debug)]
struct KeptRounds {
    owner: Option<String>,
    /// The ids of the client's calls that the answer ended with.
    calls: Vec<String>,
    messages: Vec<Message>,
    bytes: usize,
}

impl Rounds {
    /// Keeps the rounds of an answer that ends with these calls. The client has its text, so that
    /// is left out.
    pub fn keep(&self, owner: Option<String>, calls: &[ToolCall], rounds: &[Message]) {
        let mut messages = rounds.to_vec();
        for message in &mut messages {
            message.parts.retain(|part| !matches!(part, Part::Text(_)));
        }
        let bytes = messages.iter().map(Message::size).sum();
        if messages.is_empty() || bytes > MOST_BYTES {
            return;
        }
        let mut kept = lock(&self.0);
        kept.push_back(KeptRounds {
            owner,
            calls: calls.iter().map(|call| call.id.clone()).collect(),
            messages,
            bytes,
        });
        let too_many = |kept: &VecDeque<KeptRounds>| {
            kept.len() > MOST || kept.iter().map(|kept| kept.bytes).sum::<usize>() > MOST_BYTES
        };
        while too_many(&kept) {
            kept.pop_front();
        }
    }

    /// Puts the rounds back into a conversation of the same owner.
    pub fn restore(&self, owner: Option<&str>, messages: &mut Vec<Message>) {
        let kept = lock(&self.0);
        let mut at = 0;
        while at < messages.len() {
            let found = (messages[at].role == Role::Assistant)
                .then(|| {
                    let mut kept = kept.iter().filter(|kept| kept.owner.as_deref() == owner);
                    kept.find(|kept| {
                        let mut calls = messages[at].tool_calls();
                        calls.any(|call| kept.calls.contains(&call.id))
                    })
                })
                .flatten();
            if let Some(kept) = found {
                messages.splice(at..at, kept.messages.iter().cloned());
                at += kept.messages.len();
            }
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::turn::ToolResult;

    fn call(id: &str) -> Part {
        Part::ToolCall(ToolCall {
            id: id.to_owned(),
            name: "read".to_owned(),
            arguments: "{}".to_owned(),
        })
    }

    fn round(id: &str, content: &str) -> [Message; 2] {
        let asks = Message {
            role: Role::Assistant,
            parts: vec![Part::Text("I look.".to_owned()), call(id)],
        };
        let answers = Message {
            role: Role::Tool,
            parts: vec![Part::ToolResult(ToolResult {
                call_id: id.to_owned(),
                name: None,
                content: content.to_owned(),
                is_error: false,
            })],
        };
        [asks, answers]
    }

    fn clients(id: &str) -> Vec<ToolCall> {
        vec![ToolCall {
            id: id.to_owned(),
            name: "deploy".to_owned(),
            arguments: "{}".to_owned(),
        }]
    }

    #[test]
    fn rounds_stand_before_the_clients_calls_again() {
        let rounds = Rounds::default();
        rounds.keep(None, &clients("theirs"), &round("ours", "found"));
        let [asks, answers] = round("theirs", "done");
        let sent = vec![Message::text(Role::User, "go"), asks, answers];
        let mut messages = sent.clone();
        rounds.restore(None, &mut messages);
        assert_eq!(messages.len(), 5);
        assert_eq!(
            messages[1].parts,
            [call("ours")],
            "its text stands in the client's own message"
        );
        assert_eq!(messages[2], round("ours", "found")[1]);
        assert_eq!(messages[3..], sent[1..]);
        let mut others = sent.clone();
        rounds.restore(Some("somebody else"), &mut others);
        assert_eq!(others, sent);
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let rounds = Rounds::default();
        let large = "x".repeat(MOST_BYTES / 3);
        for id in ["1", "2", "3", "4"] {
            rounds.keep(None, &clients(id), &round("ours", &large));
        }
        rounds.keep(
            None,
            &clients("5"),
            &round("ours", &"x".repeat(MOST_BYTES + 1)),
        );
        let restored = |id: &str| {
            let mut messages = round(id, "done").to_vec();
            rounds.restore(None, &mut messages);
            messages.len() > 2
        };
        assert_eq!(
            ["1", "2", "3", "4", "5"].map(restored),
            [false, false, true, true, false]
        );
    }
}
