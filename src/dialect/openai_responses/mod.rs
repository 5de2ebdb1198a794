//! OpenAI's Responses: `POST /v1/responses`.
//!
//! Formats as in the types of OpenAI's SDK (`openai` 6.49 for Node, `resources/responses`).
//! `decode` reads the request and `input` its items, `encode` writes the stream's events, `response`
//! the response object, `output` its items, `models` the list for Codex; `store` keeps responses that others continue.

mod decode;
mod encode;
mod input;
mod models;
mod output;
mod response;
mod store;

pub(super) use decode::messages;

use std::{sync::Arc, time::Duration};

use serde_json::Value;

use super::{
    Dialect, Parameter, PathTarget, Request, Sign, Stamp,
    parameters::{FORMAT, NO_FLAG},
};
use crate::{models::Listing, turn::TurnError};
use store::{Bounds, MemoryStore, RedisStore, Store};
pub use store::{InvalidAddress, RedisAddress};

const PARAMETERS: &[Parameter] = &[
    Parameter::honoured("model", "`auto` if missing"),
    Parameter::honoured("input", "text, messages, calls and their outputs"),
    Parameter::honoured("instructions stream", ""),
    Parameter::honoured(
        "tools",
        "functions, custom tools, namespaces; `web_search` and `tool_search` are left out, other hosted tools refused",
    ),
    Parameter::honoured(
        "x_cursor",
        "`{\"tools\": \"all\"}`, or a list: tools of the server's",
    ),
    Parameter::honoured("tool_choice parallel_tool_calls", ""),
    Parameter::honoured("reasoning.effort", "where the model has such a variant"),
    Parameter::honoured("reasoning.summary", "the reasoning is shown if it is there"),
    Parameter::honoured("max_output_tokens", "by an estimate; text only"),
    Parameter::honoured("text.format", FORMAT),
    Parameter::honoured("store", "within bounds; `true` if missing"),
    Parameter::honoured("previous_response_id", "if the response is still stored"),
    Parameter::honoured("cursorModel", "Cursor's own id; wins over `model`"),
    Parameter::honoured("cursorWorkspace", "the directory that the agent works in"),
    Parameter::accepted("include", "there is nothing to include"),
    Parameter::accepted("metadata", "returned"),
    Parameter::accepted("client_metadata user safety_identifier", ""),
    Parameter::accepted("prompt_cache_key", "Cursor caches by itself"),
    Parameter::accepted("prompt_cache_options", "Cursor caches by itself"),
    Parameter::accepted("prompt_cache_retention", "Cursor caches by itself"),
    Parameter::accepted("service_tier stream_options", ""),
    Parameter::ignored("temperature top_p truncation max_tool_calls", NO_FLAG),
    Parameter::ignored("context_management moderation text.verbosity", NO_FLAG),
    Parameter::refused(
        "conversation",
        "no conversations are stored; send the whole of it in `input`",
    ),
    Parameter::refused("prompt", "there are no stored prompts; send its text"),
    Parameter::refused("background", "answers come in the response"),
    Parameter::refused("top_logprobs", "Cursor's CLI reports none"),
];

/// What the stored responses may take together in memory, and each conversation in Redis.
const STORED_BYTES: usize = 64 * 1024 * 1024;
/// How long after its last use one may be continued.
const STORED_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// The dialect.
pub struct Responses {
    store: Option<Arc<Store>>,
}

impl Responses {
    /// One that keeps so many responses in memory.
    pub fn new(stored: usize) -> Self {
        let store = || Arc::new(Store::Memory(MemoryStore::new(bounds(stored))));
        Self {
            store: (stored > 0).then(store),
        }
    }

    /// One that keeps responses in a Redis.
    ///
    /// # Errors
    /// An address that can't be used.
    pub fn shared(address: RedisAddress) -> Result<Self, InvalidAddress> {
        let store = RedisStore::new(address, bounds(usize::MAX))?;
        Ok(Self {
            store: Some(Arc::new(Store::Redis(store))),
        })
    }
}

fn bounds(count: usize) -> Bounds {
    Bounds {
        count,
        bytes: STORED_BYTES,
        age: STORED_AGE,
    }
}

impl Dialect for Responses {
    fn path(&self) -> &'static str {
        "/v1/responses"
    }

    fn table(&self) -> &'static [Parameter] {
        PARAMETERS
    }

    fn decode(&self, body: &[u8], _target: PathTarget, stamp: Stamp) -> Result<Request, TurnError> {
        decode::request(body, &stamp, self.store.as_ref())
    }

    fn signs(&self) -> &'static [Sign] {
        // Codex asks for `/models?client_version=…`.
        &[Sign::Query("client_version")]
    }

    fn models(&self, listing: &Listing) -> Value {
        models::list(listing)
    }
}
