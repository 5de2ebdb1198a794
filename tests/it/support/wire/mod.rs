//! The same conversation in every dialect: requests translated from chat completions, and readers
//! that check what must hold for every answer of the dialect.

mod chat;
mod completions;
pub mod gemini;
mod messages;
mod responses;

use serde_json::Value;

use super::user;

pub use chat::Chat;
pub use completions::Completions;
pub use gemini::Gemini;
pub use messages::Messages;
pub use responses::Responses;

/// What an answer says, whatever the dialect.
#[derive(Debug, Default, PartialEq)]
pub struct Said {
    pub text: String,
    pub reasoning: String,
    /// Name and arguments of each call.
    pub calls: Vec<(String, Value)>,
    /// In the dialect's own word; empty beside an error.
    pub finish: String,
    /// The message of the error that ended it.
    pub error: Option<String>,
}

/// One dialect, seen from the client.
pub trait Wire: Sync {
    /// The name of its golden files.
    fn name(&self) -> &'static str;

    fn path(&self) -> &'static str;

    /// A chat request in this dialect; `None` if it can't be said.
    fn request(&self, chat: &Value) -> Option<Value>;

    /// The address and the body by which a request is sent.
    fn send(&self, request: &Value) -> (String, Value) {
        (self.path().to_owned(), request.clone())
    }

    /// Reads a streamed answer.
    fn stream(&self, body: &str) -> Said;

    /// Reads a whole answer.
    fn whole(&self, body: &Value) -> Said;

    /// The message of an error body of this dialect.
    fn error(&self, body: &Value) -> String;
}

/// All dialects but chat completions, from which the requests are translated.
pub const OTHERS: &[&dyn Wire] = &[&Responses, &Completions, &Messages, &Gemini];

/// All dialects with a request for `model` in each.
pub fn requests(model: &str) -> Vec<(&'static dyn Wire, Value)> {
    let chat = user(model, "hi");
    let others = OTHERS.iter().copied();
    let wires = std::iter::once(&Chat as &dyn Wire).chain(others);
    wires
        .filter_map(|wire| Some((wire, wire.request(&chat)?)))
        .collect()
}

/// The frames of a stream as (event name, data), comments left out.
pub fn frames(body: &str) -> Vec<(Option<&str>, &str)> {
    assert!(
        body.is_empty() || body.ends_with("\n\n"),
        "cut off: {body:?}"
    );
    body.split_terminator("\n\n")
        .filter(|frame| !frame.starts_with(": "))
        .map(|frame| {
            let (name, data) = match frame.strip_prefix("event: ") {
                Some(rest) => {
                    let (name, data) = rest.split_once('\n').expect("a name and data");
                    (Some(name), data)
                }
                None => (None, frame),
            };
            let data = data.strip_prefix("data: ").expect("one data line");
            assert!(!data.contains('\n'), "{data}");
            (name, data)
        })
        .collect()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
