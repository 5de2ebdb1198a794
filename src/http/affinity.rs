//! What a balancer can keep a conversation on one server by: a hash of how it opens, on each answer.
//!
//! A conversation that goes on opens as it did, so all its answers have the same. Nothing here depends
//! on it: another server answers as well, by a run from the start.

use xxhash_rust::xxh3::Xxh3;

use crate::turn::{Part, Role, Turn};

/// The header of the answer.
pub(super) const HEADER: &str = "x-open-cursor-affinity";

/// The hash of who asks, and of all texts up to the user's first message.
pub(super) fn of(turn: &Turn, owner: Option<&str>) -> String {
    let mut hash = Xxh3::new();
    let mut add = |text: &str| {
        hash.update(&text.len().to_le_bytes());
        hash.update(text.as_bytes());
    };
    add(owner.unwrap_or_default());
    for message in &turn.messages {
        for part in &message.parts {
            if let Part::Text(text) = part {
                add(text);
            }
        }
        if message.role == Role::User {
            break;
        }
    }
    format!("{:032x}", hash.digest128())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::turn::Message;

    fn hash(texts: &[(Role, &str)], owner: &str) -> String {
        let messages = texts.iter().map(|(role, text)| Message::text(*role, *text));
        let turn = Turn {
            messages: messages.collect(),
            ..Turn::default()
        };
        of(&turn, Some(owner))
    }

    #[test]
    fn a_conversation_keeps_its_hash() {
        let opening = [(Role::System, "s"), (Role::User, "a")];
        let later = [
            opening[0],
            opening[1],
            (Role::Assistant, "b"),
            (Role::User, "c"),
        ];
        assert_eq!(hash(&opening, "o"), hash(&later, "o"));
        for (other, owner) in [
            (vec![(Role::System, "s"), (Role::User, "b")], "o"),
            (vec![(Role::System, "sa"), (Role::User, "")], "o"),
            (opening.to_vec(), "p"),
        ] {
            assert_ne!(hash(&opening, "o"), hash(&other, owner));
        }
    }
}
