//! Responses in the memory of this server, within [`Bounds`]; the least recently used makes room.
//!
//! A response that is no longer found lives on while another continues it.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::{Bounds, Exchange, NewResponse};
use crate::threads::lock;

/// Responses by their ids.
#[derive(Debug)]
pub struct MemoryStore {
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

impl MemoryStore {
    /// An empty one.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            kept: Mutex::default(),
            bytes: Arc::default(),
        }
    }

    /// The owner's response with this id, unless it is too old.
    pub fn find(&self, owner: Option<&str>, id: &str) -> Option<Arc<Exchange>> {
        let mut kept = self.kept();
        kept.shrink(|kept| kept.is_older(self.bounds.age));
        let found = kept.found.get(id).cloned();
        let found = found.filter(|found| found.response.owner.as_deref() == owner)?;
        kept.touch(id);
        Some(found)
    }

    /// The owner's response that has the output item with this id.
    pub fn response_of(&self, owner: Option<&str>, item: &str) -> Option<Arc<Exchange>> {
        let response = self.kept().items.get(item).cloned()?;
        self.find(owner, &response)
    }

    /// Keeps a response, at the cost of those that were not used for longest, unless its
    /// conversation alone is too large. Says whether it does.
    pub fn put(&self, new: NewResponse) -> bool {
        let id = new.id.clone();
        let exchange = Arc::new(Exchange::new(new, &self.bytes));
        if exchange.whole > self.bounds.bytes {
            return false;
        }
        let mut kept = self.kept();
        let ids = exchange.item_ids();
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
        lock(&self.kept)
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
            for item in gone.item_ids() {
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::turn::{Message, Role};

    const BOUNDS: Bounds = Bounds {
        count: 3,
        bytes: 100_000,
        age: Duration::from_secs(60),
    };

    fn text(text: &str) -> Vec<Message> {
        vec![Message::text(Role::User, text)]
    }

    fn new(id: &str, before: Option<Arc<Exchange>>, messages: Vec<Message>) -> NewResponse {
        NewResponse {
            id: id.to_owned(),
            owner: None,
            before,
            messages,
            output: Vec::new(),
        }
    }

    fn put(store: &MemoryStore, id: &str, before: Option<Arc<Exchange>>, said: Vec<Message>) {
        store.put(new(id, before, said));
    }

    fn continued(store: &MemoryStore, id: &str, before: &str, said: &str) {
        let before = store.find(None, before);
        put(store, id, before, text(said));
    }

    fn told(store: &MemoryStore, id: &str) -> Option<Vec<Message>> {
        let mut messages = Vec::new();
        store.find(None, id)?.conversation(&mut messages);
        Some(messages)
    }

    fn bytes(store: &MemoryStore) -> usize {
        store.bytes.load(Ordering::Relaxed)
    }

    #[test]
    fn a_chain_outlives_those_that_are_forgotten() {
        let store = MemoryStore::new(BOUNDS);
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
        let store = MemoryStore::new(BOUNDS);
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
        let store = MemoryStore::new(BOUNDS);
        continued(&store, "a", "", "a");
        let held = store.find(None, "a");
        for id in ["b", "c", "d"] {
            continued(&store, id, "", id);
        }
        assert!(store.find(None, "a").is_none());
        put(&store, "e", held, text("e"));
        assert_eq!(told(&store, "e").unwrap(), [text("a"), text("e")].concat());
    }

    #[tokio::test(start_paused = true)]
    async fn age_is_bounded() {
        let store = MemoryStore::new(BOUNDS);
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
        let store = MemoryStore::new(BOUNDS);
        for id in ["a", "b", "c"] {
            let item = serde_json::json!({"id": format!("item-{id}"), "type": "reasoning"});
            store.put(NewResponse {
                output: vec![item],
                ..new(id, None, text(id))
            });
        }
        assert!(
            store.response_of(None, "item-a").is_some()
                && store.response_of(None, "item-x").is_none()
        );
        continued(&store, "d", "", "d");
        assert!(store.find(None, "a").is_some() && store.find(None, "b").is_none());
        assert!(
            store.response_of(None, "item-b").is_none()
                && store.response_of(None, "item-c").is_some()
        );
        assert_eq!(store.kept().items.len(), 2);
    }

    #[test]
    fn a_long_chain_is_dropped_without_recursion() {
        let store = MemoryStore::new(Bounds {
            bytes: usize::MAX,
            ..BOUNDS
        });
        let mut before = None;
        for id in 0..200_000 {
            let id = id.to_string();
            put(&store, &id, before, Vec::new());
            before = store.find(None, &id);
        }
        let sum = Arc::clone(&store.bytes);
        drop((store, before));
        assert_eq!(sum.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn nobody_else_finds_it() {
        let store = MemoryStore::new(BOUNDS);
        store.put(NewResponse {
            owner: Some("o".to_owned()),
            output: vec![serde_json::json!({"id": "i"})],
            ..new("a", None, text("a"))
        });
        for (owner, found) in [(Some("o"), true), (Some("p"), false), (None, false)] {
            assert_eq!(store.find(owner, "a").is_some(), found, "{owner:?}");
            assert_eq!(store.response_of(owner, "i").is_some(), found, "{owner:?}");
        }
    }
}
