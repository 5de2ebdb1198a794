//! Responses that later requests continue or whose items they refer to, each for its owner alone.
//!
//! ```text
//! Store ─┬─ memory: of this server, within bounds; the least recently used makes room
//!        └─ redis: of all servers that use it; a record each, which expires
//! Exchange: what one request and its answer added, linked to the one before it
//! ```
//!
//! A response keeps what it added to the conversation and a link to the one before it, so a chain
//! holds each message once. Knows items and messages, and nothing of requests.

mod exchange;
mod memory;
mod record;
mod redis;

use std::{sync::Arc, time::Duration};

use serde_json::Value;

use crate::turn::Message;

pub use exchange::{Exchange, join};
pub use memory::MemoryStore;
pub use redis::{InvalidAddress, RedisAddress, RedisStore};

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// How many responses.
    pub count: usize,
    /// How many bytes: of all together in memory, of each conversation in Redis.
    pub bytes: usize,
    /// For how long after its last use.
    pub age: Duration,
}

/// Responses by their ids.
#[derive(Debug)]
pub enum Store {
    /// Of this server.
    Memory(MemoryStore),
    /// Of all servers that use the same Redis.
    Redis(RedisStore),
}

/// A response that is to be kept.
#[derive(Debug)]
pub struct NewResponse {
    /// Its id, unique and not to be guessed.
    pub id: String,
    /// Who asked.
    pub owner: Option<String>,
    /// What it continues.
    pub before: Option<Arc<Exchange>>,
    /// What the request said.
    pub messages: Vec<Message>,
    /// The items of the answer.
    pub output: Vec<Value>,
}

impl Store {
    /// The owner's response with this id, unless it is too old.
    pub fn find(&self, owner: Option<&str>, id: &str) -> Option<Arc<Exchange>> {
        match self {
            Self::Memory(store) => store.find(owner, id),
            Self::Redis(store) => store.find(owner, id),
        }
    }

    /// The owner's output item with this id, unless its response is too old.
    pub fn item(&self, owner: Option<&str>, id: &str) -> Option<Value> {
        let response = match self {
            Self::Memory(store) => store.response_of(owner, id),
            Self::Redis(store) => store.response_of(owner, id),
        };
        response?.item(id)
    }

    /// Keeps a response, if a client could send its items back, and unless it is too large or can't
    /// be kept. Says whether it does.
    pub fn put(&self, new: NewResponse) -> bool {
        match self {
            _ if !exchange::can_be_read(&new.output) => false,
            Self::Memory(store) => store.put(new),
            Self::Redis(store) => store.put(new),
        }
    }

    /// Why it finds nothing now, if that is not for lack of the response.
    pub fn problem(&self) -> Option<&'static str> {
        match self {
            Self::Redis(store) if store.is_down() => Some("the store does not answer"),
            _ => None,
        }
    }
}
