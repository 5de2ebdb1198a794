//! What a request and its answer added to a conversation, as a link of a chain.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::Value;

use super::NewResponse;
use crate::{
    dialect::{field::Field, openai_responses::input},
    turn::{Message, Part, Role, TurnError},
};

/// One response, linked to the one before it.
#[derive(Debug)]
pub struct Exchange {
    pub(super) response: NewResponse,
    weight: usize,
    /// What the conversation up to its end weighs.
    pub(super) whole: usize,
    /// The sum that it is part of.
    bytes: Arc<AtomicUsize>,
}

impl Exchange {
    /// A link that counts in the sum `bytes` as long as it lives.
    pub(super) fn new(response: NewResponse, bytes: &Arc<AtomicUsize>) -> Self {
        let messages = response.messages.iter().map(Message::size).sum::<usize>();
        let items = response.output.iter().map(|item| item.to_string().len());
        let weight = response.id.len() + messages + items.sum::<usize>();
        bytes.fetch_add(weight, Ordering::Relaxed);
        Self {
            whole: response.before.as_ref().map_or(0, |before| before.whole) + weight,
            response,
            weight,
            bytes: Arc::clone(bytes),
        }
    }

    /// The output item with this id.
    pub(super) fn item(&self, id: &str) -> Option<Value> {
        let mut items = self.response.output.iter();
        items.find(|item| item["id"] == id).cloned()
    }

    /// The ids of its output items.
    pub(super) fn item_ids(&self) -> impl Iterator<Item = &str> {
        let items = self.response.output.iter();
        items.filter_map(|item| item["id"].as_str())
    }

    /// The chain up to this one, the first one first.
    pub(super) fn chain(&self) -> Vec<&Self> {
        let mut chain = vec![self];
        while let Some(before) = chain
            .last()
            .and_then(|last| last.response.before.as_deref())
        {
            chain.push(before);
        }
        chain.reverse();
        chain
    }

    /// Appends the conversation up to its end.
    pub fn conversation(&self, messages: &mut Vec<Message>) {
        for exchange in self.chain() {
            join(messages, exchange.response.messages.iter().cloned());
            // It could be read when it was kept.
            let _ = read(&exchange.response.output, messages);
        }
    }
}

impl Drop for Exchange {
    /// One after the other: a chain may be longer than the stack is deep.
    fn drop(&mut self) {
        self.bytes.fetch_sub(self.weight, Ordering::Relaxed);
        let mut next = self.response.before.take();
        while let Some(mut exchange) = next.and_then(Arc::into_inner) {
            next = exchange.response.before.take();
        }
    }
}

/// Whether a client could send these items back.
pub(super) fn can_be_read(output: &[Value]) -> bool {
    read(output, &mut Vec::new()).is_ok()
}

/// Appends items as if a client had sent them back.
fn read(output: &[Value], messages: &mut Vec<Message>) -> Result<(), TurnError> {
    let mut items = output.iter();
    items.try_for_each(|item| input::add(&Field::root(&item.into()), &|_| None, messages))
}

/// Appends what follows. Calls join the assistant's message before them, as they do in one request.
pub fn join(messages: &mut Vec<Message>, following: impl IntoIterator<Item = Message>) {
    for message in following {
        let is_call = matches!(message.parts.first(), Some(Part::ToolCall(_)));
        match messages.last_mut() {
            Some(last) if is_call && [last.role, message.role] == [Role::Assistant; 2] => {
                last.parts.extend(message.parts);
            }
            _ => messages.push(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::turn::ToolCall;

    #[test]
    fn calls_join_the_words_before_them() {
        let call = Part::ToolCall(ToolCall {
            id: "c".to_owned(),
            name: "ls".to_owned(),
            arguments: "{}".to_owned(),
        });
        let said = Message::text(Role::Assistant, "I will.");
        let called = Message {
            role: Role::Assistant,
            parts: vec![call.clone()],
        };
        let mut messages = vec![said.clone()];
        join(&mut messages, [called.clone()]);
        assert_eq!(messages[0].parts, [said.parts[0].clone(), call]);
        join(
            &mut messages,
            [said, Message::text(Role::User, "go"), called],
        );
        assert_eq!(messages.len(), 4);
    }
}
