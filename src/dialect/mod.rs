//! Wire formats: each *dialect* decodes a request into a [`Turn`] and encodes the turn's events
//! back into the format it came in.
//!
//! A dialect knows nothing of agents, processes or HTTP: it maps bytes to a [`Turn`] and events to
//! bytes. What several dialects share is here: [`Field`] (JSON with the path to each value),
//! content parts and the many shapes of tools. To add one, write `dialect/<name>/` and list it in
//! [`DIALECTS`].

mod answer;
mod attachment;
mod content;
mod field;
pub mod openai_chat;
mod tools;

pub use answer::Answer;

use crate::turn::{Delta, Turn, TurnEnd, TurnError};

/// Every dialect that the server speaks.
pub const DIALECTS: &[&dyn Dialect] = &[&openai_chat::OpenAiChat];

/// One wire format.
pub trait Dialect: Send + Sync {
    /// The path it is served under, without the `/v1` prefix.
    fn path(&self) -> &'static str;

    /// Reads a request body.
    ///
    /// # Errors
    /// `InvalidRequest` that names the field at fault by its path.
    fn decode(&self, body: &[u8], stamp: Stamp) -> Result<Request, TurnError>;

    /// The body of an answer that is an error.
    fn error(&self, error: &TurnError) -> Vec<u8>;
}

/// What makes an answer unlike any other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// Unique, without a dialect's prefix.
    pub id: String,
    /// Seconds since the Unix epoch.
    pub created: u64,
}

/// A decoded request.
pub struct Request {
    /// What is asked.
    pub turn: Turn,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// Writes the answer.
    pub reply: Box<dyn Reply>,
}

/// Writes the answer to one request, either as a stream or whole.
///
/// `end` takes the reply by value, so an answer can't have two ends.
pub trait Reply: Send + Sync {
    /// Appends the stream frames of one delta.
    fn delta(&mut self, delta: &Delta, out: &mut Vec<u8>);

    /// Appends the last frames of the stream.
    fn end(self: Box<Self>, end: &TurnEnd, out: &mut Vec<u8>);

    /// The body of an answer that is not streamed.
    fn whole(self: Box<Self>, answer: &Answer) -> Vec<u8>;
}
