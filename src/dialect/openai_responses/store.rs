//! Responses that later requests continue or whose items they refer to, in memory, within
//! [`Bounds`]; the least recently used makes room.
//!
//! A response keeps what it added to the conversation and a link to the one before it, so a chain
//! holds each message once. A response that is no longer found lives on while another continues it.
//! Knows items and messages, and nothing of requests.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use tokio::time::Instant;

use super::input;
use crate::{
    dialect::field::Field,
    turn::{Message, Part, Role, TurnError},
};

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// How many responses.
    pub count: usize,
    /// How many bytes, of all together.
    pub bytes: usize,
    /// For how long after its last use.
    pub age: Duration,
}

/// Responses by their ids.
#[derive(Debug)]
pub struct Store {
    bounds: Bounds,
    kept: Mutex<Kept>,
    /// What all that live weigh, whether they are still found or not.
    bytes: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
struct Kept {
    found: HashMap<String, Arc<Exchange>>,
    /// By the id of an output item, the response that it belongs to.
    items: HashMap<String, String>,
    /// When each was used last, the oldest first.
    order: VecDeque<(Instant, String)>,
}

/// What a request and its answer added to a conversation.
#[derive(Debug)]
pub struct Exchange {
    before: Option<Arc<Exchange>>,
    /// What the request said.
    messages: Vec<Message>,
    /// The items of the answer.
    output: Vec<Value>,
    weight: usize,
    /// What the conversation up to its end weighs.
    whole: usize,
    /// The sum that it is part of.
    bytes: Arc<AtomicUsize>,
}

/// Keeps the response to one request.
pub struct Keep {
    /// Where.
    pub store: Arc<Store>,
    /// What it continues.
    pub before: Option<Arc<Exchange>>,
    /// What the request said.
    pub messages: Vec<Message>,
}

impl Keep {
    /// Keeps it with the items of its output, if a client could send them back. Says whether it
    /// did.
    pub fn put(self, id: String, output: &[Value]) -> bool {
        read(output, &mut Vec::new()).is_ok()
            && self
                .store
                .put(id, self.before, self.messages, output.to_vec())
    }
}

impl Store {
    /// An empty one.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            kept: Mutex::default(),
            bytes: Arc::default(),
        }
    }

    /// The response with this id, unless it is too old.
    pub fn find(&self, id: &str) -> Option<Arc<Exchange>> {
        let mut kept = self.kept();
        kept.shrink(|kept| kept.is_older(self.bounds.age));
        kept.touch(id);
        kept.found.get(id).cloned()
    }

    /// The output item with this id, unless its response is too old.
    pub fn item(&self, id: &str) -> Option<Value> {
        let response = self.kept().items.get(id).cloned()?;
        let response = self.find(&response)?;
        let mut output = response.output.iter();
        output.find(|item| item["id"] == id).cloned()
    }

    /// Keeps a response that continues `before`, at the cost of those that were not used for longest,
    /// unless its conversation alone is too large. Says whether it does.
    pub fn put(
        &self,
        id: String,
        before: Option<Arc<Exchange>>,
        messages: Vec<Message>,
        output: Vec<Value>,
    ) -> bool {
        let held = messages.iter().map(weight).sum::<usize>();
        let items: usize = output.iter().map(|item| item.to_string().len()).sum();
        let weight = id.len() + held + items;
        let whole = before.as_ref().map_or(0, |before| before.whole) + weight;
        if whole > self.bounds.bytes {
            return false;
        }
        self.bytes.fetch_add(weight, Ordering::Relaxed);
        let exchange = Arc::new(Exchange {
            before,
            messages,
            output,
            weight,
            whole,
            bytes: Arc::clone(&self.bytes),
        });
        let mut kept = self.kept();
        let ids = exchange
            .output
            .iter()
            .filter_map(|item| item["id"].as_str());
        let ids = ids.map(|item| (item.to_owned(), id.clone()));
        kept.items.extend(ids);
        kept.order.push_back((Instant::now(), id.clone()));
        kept.found.insert(id.clone(), exchange);
        kept.shrink(|kept| {
            kept.order.len() > self.bounds.count
                || self.bytes.load(Ordering::Relaxed) > self.bounds.bytes
                || kept.is_older(self.bounds.age)
        });
        kept.found.contains_key(&id)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Forgets the oldest while there is too much.
    fn shrink(&mut self, is_too_much: impl Fn(&Self) -> bool) {
        while is_too_much(self)
            && let Some((_, id)) = self.order.pop_front()
        {
            let Some(gone) = self.found.remove(&id) else {
                continue;
            };
            for item in gone.output.iter().filter_map(|item| item["id"].as_str()) {
                self.items.remove(item);
            }
        }
    }

    /// Notes that a response is used.
    fn touch(&mut self, id: &str) {
        let at = self.order.iter().position(|(_, other)| other == id);
        if let Some((_, id)) = at.and_then(|at| self.order.remove(at)) {
            self.order.push_back((Instant::now(), id));
        }
    }

    fn is_older(&self, age: Duration) -> bool {
        let oldest = self.order.front();
        oldest.is_some_and(|(since, _)| since.elapsed() >= age)
    }
}

impl Exchange {
    /// Appends the conversation up to its end.
    pub fn conversation(&self, messages: &mut Vec<Message>) {
        let mut chain = vec![self];
        while let Some(before) = chain.last().and_then(|last| last.before.as_deref()) {
            chain.push(before);
        }
        chain.reverse();
        for exchange in chain {
            join(messages, exchange.messages.iter().cloned());
            // It could be read when it was kept.
            let _ = read(&exchange.output, messages);
        }
    }
}

/// Appends items as if a client had sent them back.
fn read(output: &[Value], messages: &mut Vec<Message>) -> Result<(), TurnError> {
    let mut items = output.iter();
    items.try_for_each(|item| input::add(&Field::root(item), &|_| None, messages))
}

impl Drop for Exchange {
    /// One after the other: a chain may be longer than the stack is deep.
    fn drop(&mut self) {
        self.bytes.fetch_sub(self.weight, Ordering::Relaxed);
        let mut next = self.before.take();
        while let Some(mut exchange) = next.and_then(Arc::into_inner) {
            next = exchange.before.take();
        }
    }
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

/// About what a message takes in memory.
fn weight(message: &Message) -> usize {
    let parts = message.parts.iter().map(|part| {
        let held = match part {
            Part::Text(text) => text.len(),
            Part::ToolCall(call) => call.id.len() + call.name.len() + call.arguments.len(),
            Part::ToolResult(result) => result.call_id.len() + result.content.len(),
            Part::Attachment(attachment) => attachment.bytes.len(),
        };
        size_of::<Part>() + held
    });
    size_of::<Message>() + parts.sum::<usize>()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::turn::ToolCall;

    const BOUNDS: Bounds = Bounds {
        count: 3,
        bytes: 100_000,
        age: Duration::from_secs(60),
    };

    fn text(text: &str) -> Vec<Message> {
        vec![Message::text(Role::User, text)]
    }

    fn continued(store: &Store, id: &str, before: &str, said: &str) {
        let before = store.find(before);
        store.put(id.to_owned(), before, text(said), Vec::new());
    }

    fn told(store: &Store, id: &str) -> Option<Vec<Message>> {
        let mut messages = Vec::new();
        store.find(id)?.conversation(&mut messages);
        Some(messages)
    }

    fn bytes(store: &Store) -> usize {
        store.bytes.load(Ordering::Relaxed)
    }

    #[test]
    fn a_chain_outlives_those_that_are_forgotten() {
        let store = Store::new(BOUNDS);
        for (id, before) in [("a", ""), ("b", "a"), ("c", "b"), ("d", "c"), ("e", "d")] {
            continued(&store, id, before, id);
        }
        assert_eq!((told(&store, "a"), told(&store, "b")), (None, None));
        let whole: Vec<Message> = ["a", "b", "c", "d", "e"]
            .into_iter()
            .flat_map(text)
            .collect();
        assert_eq!(told(&store, "e").unwrap(), whole);
        // Branches share what is before them.
        let before = bytes(&store);
        continued(&store, "f", "d", "f");
        assert_eq!(told(&store, "f").unwrap()[..4], whole[..4]);
        assert_eq!(bytes(&store) - before, before / 5);
    }

    #[test]
    fn bytes_are_bounded_and_all_given_back() {
        let store = Store::new(BOUNDS);
        let half = "x".repeat(40_000);
        continued(&store, "a", "", &half);
        continued(&store, "b", "", &half);
        assert!(store.kept().found.contains_key("a"));
        continued(&store, "c", "", &half);
        assert!(told(&store, "a").is_none() && told(&store, "c").is_some());
        // One that is too large in itself, or with what it continues, displaces no other.
        continued(&store, "d", "", &"x".repeat(100_000));
        continued(&store, "e", "c", &"x".repeat(70_000));
        assert!(told(&store, "d").is_none() && told(&store, "e").is_none());
        assert!(told(&store, "b").is_some() && told(&store, "c").is_some());
        let sum = Arc::clone(&store.bytes);
        drop(store);
        assert_eq!(sum.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn who_is_being_continued_stays_whole() {
        let store = Store::new(BOUNDS);
        continued(&store, "a", "", "a");
        let held = store.find("a");
        for id in ["b", "c", "d"] {
            continued(&store, id, "", id);
        }
        assert!(store.find("a").is_none());
        store.put("e".to_owned(), held, text("e"), Vec::new());
        assert_eq!(told(&store, "e").unwrap(), [text("a"), text("e")].concat());
    }

    #[tokio::test(start_paused = true)]
    async fn age_is_bounded() {
        let store = Store::new(BOUNDS);
        continued(&store, "a", "", "a");
        tokio::time::advance(Duration::from_secs(59)).await;
        // Using it makes it young.
        continued(&store, "b", "a", "b");
        tokio::time::advance(Duration::from_secs(59)).await;
        assert_eq!(told(&store, "b").unwrap().len(), 2);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(told(&store, "a").is_none());
        tokio::time::advance(Duration::from_secs(59)).await;
        assert!(told(&store, "b").is_none());
        assert_eq!(bytes(&store), 0);
    }

    #[test]
    fn what_is_used_stays() {
        let store = Store::new(BOUNDS);
        for id in ["a", "b", "c"] {
            let item = serde_json::json!({"id": format!("item-{id}"), "type": "reasoning"});
            store.put(id.to_owned(), None, text(id), vec![item]);
        }
        assert!(store.item("item-a").is_some() && store.item("item-x").is_none());
        continued(&store, "d", "", "d");
        assert!(store.find("a").is_some() && store.find("b").is_none());
        assert!(store.item("item-b").is_none() && store.item("item-c").is_some());
        assert_eq!(store.kept().items.len(), 2);
    }

    #[test]
    fn a_long_chain_is_dropped_without_recursion() {
        let store = Store::new(Bounds {
            bytes: usize::MAX,
            ..BOUNDS
        });
        let mut before = None;
        for id in 0..200_000 {
            let id = id.to_string();
            store.put(id.clone(), before, Vec::new(), Vec::new());
            before = store.find(&id);
        }
        let sum = Arc::clone(&store.bytes);
        drop((store, before));
        assert_eq!(sum.load(Ordering::Relaxed), 0);
    }

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
