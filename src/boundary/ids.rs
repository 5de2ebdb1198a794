//! Ids for the calls that go to the client.
//!
//! Cursor's own ids may hold a newline and text calls have none, so every call gets an id of ours:
//! one line, and different from every id in the conversation. The same turn and events give the
//! same ids, which keeps recorded cases comparable.

use std::collections::HashSet;

use crate::turn::Turn;

/// The source of one turn's ids.
#[derive(Debug)]
pub(super) struct Ids {
    used: HashSet<String>,
    seed: u64,
}

impl Ids {
    /// Knows the ids that the conversation has used already.
    pub(super) fn new(turn: &Turn) -> Self {
        let used: HashSet<String> = turn
            .messages
            .iter()
            .flat_map(|message| message.tool_calls())
            .map(|call| call.id.clone())
            .collect();
        let seed = fnv1a(FNV_OFFSET, &turn.messages.len().to_le_bytes());
        Self { used, seed }
    }

    /// An unused id for a call; `origin` tells it from others, as far as the agent told them apart.
    pub(super) fn next(&mut self, origin: &str) -> String {
        let mut hash = fnv1a(self.seed, origin.as_bytes());
        loop {
            let id = format!("call_{hash:016x}");
            if self.used.insert(id.clone()) {
                return id;
            }
            hash = fnv1a(hash, b"+");
        }
    }
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

/// The 64-bit FNV-1a hash, continued from `hash`.
fn fnv1a(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::turn::{Message, Part, Role, ToolCall};

    #[test]
    fn ids_are_on_one_line_and_never_repeat() {
        let mut turn = Turn::default();
        let first = Ids::new(&turn).next("call-1\nfc_1");
        assert!(first.starts_with("call_") && !first.contains(char::is_whitespace));
        turn.messages.push(Message {
            role: Role::Assistant,
            parts: vec![Part::ToolCall(ToolCall {
                id: first.clone(),
                name: "read".into(),
                arguments: "{}".into(),
            })],
        });
        let mut ids = Ids::new(&turn);
        let mut seen = HashSet::from([first]);
        for _ in 0..100 {
            assert!(seen.insert(ids.next("call-1\nfc_1")));
        }
    }
}
