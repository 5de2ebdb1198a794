//! Pages and web searches.

use serde_json::json;

use super::fields::{ArgumentMap, field, millis};
use super::{Compat, OTHER};

pub(super) const FETCH: Compat = Compat {
    family: "webfetch",
    essential: "url",
    fields: &[
        field("url", "url uri link address urls"),
        field("format", "format"),
        field("prompt", "prompt query question"),
        millis("timeout", "timeout timeoutms"),
    ],
    prepare,
    complete: |_, field| match field {
        "format" => Some(json!("markdown")),
        "prompt" => Some(json!("Return the content of the page.")),
        _ => None,
    },
};

/// Gemini CLI's takes addresses in the prompt only.
fn prepare(given: &mut ArgumentMap) {
    if given.property("url").is_none()
        && given.property("prompt").is_some()
        && let Some(url) = given.text("url")
    {
        let prompt = given.text("prompt").unwrap_or("Return the content of");
        let prompt = format!("{prompt} {url}");
        given.set("prompt", prompt);
        given.values.remove("url");
    }
}

pub(super) const SEARCH: Compat = Compat {
    family: "websearch",
    essential: "query",
    fields: &[
        field("query", "query searchterm q search searchquery objective"),
        field("description", "explanation description"),
    ],
    complete: |_, field| (field == "description").then(|| json!("Search the web")),
    ..OTHER
};
