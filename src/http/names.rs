//! What a request and its client are called: ids, and texts of clients made fit for the log.

use std::time::{SystemTime, UNIX_EPOCH};

use warp::http::{HeaderMap, header};

use crate::dialect::Stamp;

/// The header with a request's id, in requests and answers.
pub(super) const ID_HEADER: &str = "x-request-id";

/// The longest id or name of a client's that is kept, in bytes.
const LONGEST: usize = 128;

/// The client's own id, if it is fit for a file name and a line of the log.
pub(super) fn sane_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(ID_HEADER)?.to_str().ok()?;
    let is_sane = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    ((1..=LONGEST).contains(&id.len()) && id.bytes().all(is_sane)).then(|| id.to_owned())
}

/// The first product that `User-Agent` names, such as `opencode/1.0.3`; else `unknown`.
pub(super) fn client(headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT);
    let agent = agent
        .and_then(|agent| agent.to_str().ok())
        .unwrap_or_default();
    let product = agent.split_ascii_whitespace().next().unwrap_or("unknown");
    printable(product)
}

/// Text from a client, made fit for the log: one line, and short.
pub(super) fn printable(text: &str) -> String {
    let shown = |c: char| if c.is_control() { '?' } else { c };
    text.chars().take(LONGEST).map(shown).collect()
}

/// Unique among the answers of all servers, and not to be guessed, since a response is continued by its
/// id: the time in nanoseconds, and 96 random bits.
pub(super) fn stamp() -> Stamp {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let random = rand::random::<u128>() >> 32;
    Stamp {
        id: format!("{:x}{random:024x}", now.as_nanos()),
        created: now.as_secs(),
        owner: None,
    }
}
