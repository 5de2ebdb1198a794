//! The endpoint as an agent sees it: over HTTP.

#![allow(clippy::unwrap_used, clippy::panic)]

mod client;
mod ends;
mod protocol;
mod waiting;

use std::time::Duration;

use serde_json::{Value, json};

use super::{Called, Endpoint, Event, Offer, WaitLimits};
use crate::turn::{ToolResult, ToolSpec};

/// Limits that make the clock visible to a test.
const QUICK: WaitLimits = WaitLimits {
    hold: Duration::from_millis(150),
    heartbeat: Duration::from_millis(40),
    request: Duration::from_millis(500),
};

/// Nothing in these tests takes longer.
const SOON: Duration = Duration::from_secs(20);

fn spec(name: &str) -> ToolSpec {
    let schema = json!({"type": "object", "properties": {"text": {"type": "string"}}});
    ToolSpec {
        name: name.to_owned(),
        description: format!("About {name}"),
        schema: schema.into(),
    }
}

fn result(content: &str) -> ToolResult {
    ToolResult {
        call_id: "call_1".to_owned(),
        name: None,
        content: content.to_owned(),
        is_error: false,
    }
}

async fn endpoint(limits: WaitLimits) -> (Endpoint, Offer) {
    let endpoint = Endpoint::bind(limits).await.unwrap();
    let offer = endpoint.offer(&[spec("bash"), spec("read")]);
    (endpoint, offer)
}

fn request(id: u64, method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

fn call(id: u64, tool: &str, arguments: Value) -> Value {
    request(
        id,
        "tools/call",
        json!({"name": tool, "arguments": arguments}),
    )
}

async fn next(offer: &mut Offer) -> Option<Event> {
    tokio::time::timeout(SOON, offer.next()).await.unwrap()
}

async fn called(offer: &mut Offer) -> Called {
    match next(offer).await {
        Some(Event::Called(called)) => called,
        other => panic!("{other:?} is not a call"),
    }
}

/// The text of a `tools/call` result, and whether it is an error.
fn said(response: &Value) -> (String, bool) {
    let result = &response["result"];
    let text = result["content"][0]["text"].as_str();
    let text = text.unwrap_or_else(|| panic!("no text in {response}"));
    (text.to_owned(), result["isError"].as_bool().unwrap())
}
