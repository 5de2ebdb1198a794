//! Wire formats: each *dialect* decodes a request into a [`Turn`] and encodes the turn's events
//! back into the format it came in.
//!
//! A dialect knows nothing of agents, processes or HTTP: it maps bytes to a [`Turn`] and events to
//! bytes. What several dialects share is here: `Field` (JSON with the path to each
//! value), content parts, the many shapes of tools, the tables of parameters, stream frames. To add
//! one, write `dialect/<name>/` and list it in [`all`].

mod anthropic;
mod attachment;
mod choices;
mod common;
mod content;
mod escape;
mod field;
mod format;
mod frame;
mod gemini;
mod limits;
mod openai_chat;
mod openai_completions;
mod openai_envelope;
mod openai_error;
mod openai_responses;
mod parameters;
mod posted;
mod route;
mod status;
mod tools;
mod tree;
mod x_cursor;

pub use openai_responses::{InvalidAddress, RedisAddress, Responses};
pub use parameters::{Parameter, Treatment};
pub use posted::PostedResults;
pub use route::{
    Ask, Compute, PathTarget, Sign, Streaming, parameters_of, percent_decode, unversioned,
};
pub use status::{is_worth_a_retry, status};
pub use tools::ToolFormat;

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    models::{Entry, Listing},
    turn::{Collected, Delta, FinishReason, Turn, TurnEnd, TurnError},
};

/// Every dialect that a server speaks. The first one answers where none is meant.
///
/// `stored` is how many responses are kept for requests that continue them.
#[must_use]
pub fn all(stored: usize) -> Vec<Arc<dyn Dialect>> {
    all_with(Responses::new(stored))
}

/// The same with this one for OpenAI's Responses.
#[must_use]
pub fn all_with(responses: Responses) -> Vec<Arc<dyn Dialect>> {
    vec![
        Arc::new(openai_chat::OpenAiChat),
        Arc::new(responses),
        Arc::new(openai_completions::Completions),
        Arc::new(anthropic::Messages),
        Arc::new(gemini::Gemini),
    ]
}

/// One wire format.
pub trait Dialect: Send + Sync {
    /// Where it answers, as people read it: `/v1/messages`.
    fn path(&self) -> &'static str;

    /// What logs and metrics call it.
    fn name(&self) -> &'static str {
        self.path().trim_start_matches("/v1/")
    }

    /// What a request to this path asks for; `None` if the path is not one of this dialect's.
    fn route(&self, path: &str, _query: &str) -> Option<Ask> {
        (unversioned(path) == unversioned(self.path())).then(|| Ask::Answer(PathTarget::default()))
    }

    /// What becomes of the request parameters, those that are treated alike in one row.
    fn table(&self) -> &'static [Parameter];

    /// What becomes of each request parameter.
    fn parameters(&self) -> Vec<Parameter> {
        parameters::each(self.table())
    }

    /// Reads a request body. `target` holds what the path said of it.
    ///
    /// # Errors
    /// `InvalidRequest` that names the field at fault by its path.
    fn decode(&self, body: &[u8], target: PathTarget, stamp: Stamp) -> Result<Request, TurnError>;

    /// The body of an error response; OpenAI's by default.
    fn error(&self, error: &TurnError) -> Vec<u8> {
        openai_error::error_object(error).to_string().into_bytes()
    }

    /// What only this dialect's clients send. It decides whose shape the response of a shared path
    /// (`/models`) or of an unknown one has.
    fn signs(&self) -> &'static [Sign] {
        &[]
    }

    /// The list of all models.
    fn models(&self, listing: &Listing) -> Value {
        let models: Vec<Entry> = listing.entries().collect();
        json!({"object": "list", "data": models})
    }

    /// One model.
    fn model(&self, model: &Entry) -> Value {
        json!(model)
    }
}

/// What makes an answer unlike any other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Unique, without a dialect's prefix.
    pub id: String,
    /// Seconds since the Unix epoch.
    pub created: u64,
    /// Who asks, as far as it can be told: nobody else is told what is stored for them.
    pub owner: Option<String>,
}

/// The tools of a request body, or of an array of tools in any form, as one vendor writes them.
///
/// # Errors
/// A tool that no request may offer.
pub fn convert_tools(body: Value, format: ToolFormat) -> Result<Value, TurnError> {
    let body = if body.is_array() {
        json!({ "tools": body })
    } else {
        body
    };
    let body = tree::Tree::from(&body);
    let offered = tools::offered(&field::Field::root(&body))?;
    if let Some(name) = offered.named.first() {
        let message =
            format!("`{name}` only names a tool of a server's; there is nothing to convert");
        return Err(TurnError::invalid("tools", message));
    }
    Ok(tools::render(&offered.specs, format))
}

/// A decoded request.
pub struct Request {
    /// What is asked.
    pub turn: Turn,
    /// A further turn for each further choice that is asked for.
    pub others: Vec<Turn>,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// The parameters that do nothing, though the client may think so.
    pub ignored: Vec<String>,
    /// Writes the answer.
    pub reply: Box<dyn Reply>,
}

/// Writes the answer to one request, either as a stream or whole.
///
/// `end` takes the reply by value, so an answer can't have two ends.
pub trait Reply: Send + Sync {
    /// A reply in the same form to another request, which has one choice. Called before anything is
    /// written.
    fn another(&self, stamp: &Stamp) -> Box<dyn Reply>;

    /// What follows belongs to this choice; the first one if never called.
    fn choose(&mut self, _choice: usize) {}

    /// Appends the stream frames of one delta.
    fn delta(&mut self, delta: &Delta, out: &mut Vec<u8>);

    /// Appends the frames that end a choice while another continues.
    fn end_choice(&mut self, _reason: &FinishReason, _out: &mut Vec<u8>) {}

    /// Appends the last frames of the stream. The usage is that of all choices.
    fn end(self: Box<Self>, end: &TurnEnd, out: &mut Vec<u8>);

    /// The body of an answer that is not streamed, with the further choices if any were asked for.
    /// The end has the usage and the lost changes of all choices.
    fn whole(self: Box<Self>, answer: &Collected, others: &[Collected], end: &TurnEnd) -> Vec<u8>;

    /// Whether a failure before the first delta is written as the end of a stream instead of a
    /// status: some clients repeat a request on almost any status.
    fn streams_failure(&self, _error: &TurnError) -> bool {
        false
    }

    /// Written while nothing else is, so that the client does not give up.
    fn heartbeat(&self) -> &'static [u8] {
        COMMENT
    }

    /// The media type of the stream.
    fn content_type(&self) -> &'static str {
        "text/event-stream"
    }
}

/// A comment, which every reader of server-sent events passes over.
pub const COMMENT: &[u8] = b": keep-alive\n\n";

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn lost_changes_are_named_in_every_dialect() {
        let mut body = json!({
            "messages": [{"role": "user", "content": "hi"}], "input": "hi", "prompt": "hi",
            "contents": "hi", "stream_options": {"include_usage": false},
        });
        let lost = vec!["/a/b".to_owned()];
        for dialect in all(0) {
            // Responses knows it as a stored prompt.
            body["prompt"] = match dialect.path() {
                "/v1/responses" => Value::Null,
                _ => "hi".into(),
            };
            let reply = || {
                let stamp = Stamp {
                    id: "1".to_owned(),
                    created: 1,
                    owner: None,
                };
                let body = body.to_string();
                let request = dialect.decode(body.as_bytes(), PathTarget::default(), stamp);
                request.unwrap().reply
            };
            let end = TurnEnd {
                lost_changes: lost.clone(),
                ..TurnEnd::finished(FinishReason::Stop, None)
            };
            let mut out = Vec::new();
            reply().end(&end, &mut out);
            let whole = reply().whole(&Collected::default(), &[], &end);
            for out in [out, whole] {
                let out = String::from_utf8(out).unwrap();
                let named = out.matches(r#""lost_changes":["/a/b"]"#).count();
                assert_eq!(named, 1, "{}: {out}", dialect.path());
            }
        }
    }
}
