//! The MCP endpoint alone, with a client that answers by itself, for other people's MCP clients to try
//! (`scripts/e2e-mcp`).
//!
//! The first line that it prints is `{"config", "names"}` of its one offer, each further one an event.
//! It ends with its standard input. An argument sets how many milliseconds a call is held.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{io::Read as _, thread, time::Duration};

use open_cursor::{
    mcp::{CallKey, Called, Endpoint, Event, WaitLimits},
    turn::{Attachment, ToolResult, ToolSpec},
};
use serde_json::{Value, json};
use tokio::{sync::mpsc, time::sleep};

/// Names and schemas: what clients really send, and what is only just a schema.
fn tools() -> Vec<ToolSpec> {
    let text = json!({"type": "string"});
    let tools = [
        (
            "echo",
            json!({"type": "object", "properties": {"text": text}, "required": ["text"]}),
        ),
        (
            "slow",
            json!({"type": "object", "properties": {"ms": {"type": "integer", "minimum": 0}}}),
        ),
        (
            "image",
            json!({"type": "object", "properties": {}, "additionalProperties": false}),
        ),
        (
            "fail",
            json!({"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"}),
        ),
        (
            "a.tool/with:a name that is much longer than fifty characters",
            Value::Null,
        ),
        (
            "odd",
            json!({
                "type": ["object", "null"], "required": true, "$defs": {"a": {"const": 1}},
                "properties": {"any": true, "a": {"$ref": "#/$defs/a"}, "b": {"anyOf": [text, {"type": "null"}]}},
            }),
        ),
    ];
    let spec = |(name, schema): (&str, Value)| ToolSpec {
        name: name.to_owned(),
        description: format!("About {name}"),
        schema: schema.into(),
    };
    tools.into_iter().map(spec).collect()
}

/// What the tool answers, and after how long.
fn answer(called: &Called) -> (Duration, ToolResult, Vec<Attachment>) {
    let arguments = &called.arguments;
    let ms = arguments.get("ms").and_then(Value::as_u64).unwrap_or(0);
    let image = Attachment {
        extension: "png",
        bytes: vec![0x89, b'P', b'N', b'G'].into(),
        file: None,
    };
    let text = arguments.get("text").and_then(Value::as_str);
    let result = ToolResult {
        call_id: String::new(),
        name: None,
        content: text.unwrap_or(&called.name).to_owned(),
        is_error: called.name == "fail",
    };
    let files = if called.name == "image" {
        vec![image]
    } else {
        Vec::new()
    };
    (Duration::from_millis(ms), result, files)
}

#[tokio::main]
async fn main() {
    let mut limits = WaitLimits::default();
    if let Some(ms) = std::env::args().nth(1) {
        limits.hold = Duration::from_millis(ms.parse().unwrap());
        limits.heartbeat = limits.hold / 4;
    }
    let endpoint = Endpoint::bind(limits).await.unwrap();
    let mut offer = endpoint.offer(&tools());
    let names = offer.names().to_vec();
    println!("{}", json!({"config": offer.config(), "names": names}));
    let (done, mut replies) = mpsc::unbounded_channel::<(CallKey, ToolResult, Vec<Attachment>)>();
    let (closed, mut stdin) = mpsc::channel::<()>(1);
    thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        drop(closed);
    });
    loop {
        let event = tokio::select! {
            event = offer.next() => event,
            reply = replies.recv() => {
                let (key, result, files) = reply.unwrap();
                offer.reply(key, &result, &files);
                continue;
            }
            _ = stdin.recv() => break,
        };
        match event {
            Some(Event::Listed) => println!("{}", json!({"event": "listed"})),
            Some(Event::Cancelled(key)) => {
                println!("{}", json!({"event": "cancelled", "key": key.to_string()}));
            }
            Some(Event::Called(called)) => {
                println!(
                    "{}",
                    json!({
                        "event": "called", "key": called.key.to_string(), "name": called.name,
                        "arguments": called.arguments,
                    })
                );
                let (after, result, files) = answer(&called);
                let done = done.clone();
                tokio::spawn(async move {
                    sleep(after).await;
                    let _ = done.send((called.key, result, files));
                });
            }
            None => break,
        }
    }
}
