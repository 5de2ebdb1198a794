//! What a path asks for. Each dialect reads its own paths; nothing here knows HTTP.

use percent_encoding::percent_decode_str;

use crate::turn::TurnError;

/// From the body of a request to that of the response.
pub type Compute = fn(&[u8]) -> Result<Vec<u8>, TurnError>;

/// What a request to one of a dialect's paths asks for.
#[derive(Debug, Clone)]
pub enum Ask {
    /// An answer of the model (POST).
    Answer(PathTarget),
    /// A body that is computed from the request's body alone (POST).
    Compute(Compute),
    /// The list of models (GET).
    Models,
    /// The model of this name (GET).
    Model(String),
}

/// What a path says that other dialects say in the body. Gemini names the model and asks for a
/// stream there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PathTarget {
    /// The model, if the path names one.
    pub model: Option<String>,
    /// How the answer is to be streamed; `None` leaves that to the body.
    pub streaming: Option<Streaming>,
}

/// The forms of a streamed answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Streaming {
    /// Not at all.
    Whole,
    /// Server-sent events.
    Events,
    /// One JSON array that grows.
    Array,
}

/// By what the clients of a dialect are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// A path that begins so, after the version.
    Path(&'static str),
    /// A header of this name.
    Header(&'static str),
    /// A query parameter of this name.
    Query(&'static str),
}

/// A path without `/v1` before it and `/` behind it: clients differ in what they take for the base
/// URL.
#[must_use]
pub fn unversioned(path: &str) -> &str {
    let rest = path
        .strip_prefix("/v1")
        .filter(|rest| rest.starts_with('/'));
    let path = rest.unwrap_or(path);
    path.strip_suffix('/').unwrap_or(path)
}

/// The names and values of a query string.
pub fn parameters_of(query: &str) -> impl Iterator<Item = (&str, String)> {
    query.split('&').map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (name, percent_decode(value))
    })
}

/// Undoes the escapes of a path or query; model ids may hold a slash.
#[must_use]
pub fn percent_decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}
