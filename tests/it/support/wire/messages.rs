//! Anthropic's Messages.

use serde_json::{Value, json as value};

use super::{Said, Wire, frames, json, string};

pub struct Messages;

const ERRORS: &[&str] = &[
    "invalid_request_error",
    "authentication_error",
    "billing_error",
    "permission_error",
    "not_found_error",
    "request_too_large",
    "rate_limit_error",
    "timeout_error",
    "api_error",
    "overloaded_error",
];

impl Wire for Messages {
    fn name(&self) -> &'static str {
        "messages"
    }

    fn path(&self) -> &'static str {
        "/v1/messages"
    }

    fn request(&self, chat: &Value) -> Option<Value> {
        let mut request = value!({
            "model": chat["model"],
            "max_tokens": chat["max_tokens"].as_u64().unwrap_or(32000),
            "thinking": {"type": "adaptive"},
            "stream": chat["stream"],
        });
        let mut messages: Vec<Value> = chat["messages"].as_array()?.iter().map(message).collect();
        if messages[0]["role"] == "system" {
            request["system"] = messages.remove(0)["content"].clone();
        }
        request["messages"] = messages.into();
        let tools = chat["tools"].as_array().into_iter().flatten();
        let tools: Vec<Value> = tools.map(|tool| definition(&tool["function"])).collect();
        if !tools.is_empty() {
            request["tools"] = tools.into();
            request["tool_choice"] = value!({"type": "auto"});
        }
        Some(request)
    }

    fn stream(&self, body: &str) -> Said {
        let mut reader = Reader::default();
        for (name, data) in frames(body) {
            let event = json(data);
            assert_eq!(
                event["type"].as_str(),
                name,
                "an event is named by its type"
            );
            reader.event(&event);
        }
        assert!(reader.ended, "neither message_stop nor an error: {body}");
        reader.said
    }

    fn whole(&self, body: &Value) -> Said {
        assert_eq!(
            (&body["type"], &body["role"]),
            (&value!("message"), &value!("assistant"))
        );
        assert!(body["id"].as_str().unwrap().starts_with("msg_"));
        assert!(body["usage"]["input_tokens"].is_u64() && body["usage"]["output_tokens"].is_u64());
        let mut said = Said {
            finish: string(&body["stop_reason"]),
            ..Said::default()
        };
        for block in body["content"].as_array().unwrap() {
            match block["type"].as_str().unwrap() {
                "text" => said.text += block["text"].as_str().unwrap(),
                "thinking" => said.reasoning += block["thinking"].as_str().unwrap(),
                "tool_use" => {
                    assert!(block["input"].is_object(), "{block}");
                    said.calls
                        .push((string(&block["name"]), block["input"].clone()));
                }
                other => panic!("a block of type {other}"),
            }
        }
        said
    }

    fn error(&self, body: &Value) -> String {
        assert_eq!(body["type"], "error");
        let kind = body["error"]["type"].as_str().unwrap();
        assert!(ERRORS.contains(&kind), "{kind}");
        string(&body["error"]["message"])
    }
}

fn message(chat: &Value) -> Value {
    match chat["role"].as_str().unwrap() {
        "system" | "developer" => value!({"role": "system", "content": chat["content"]}),
        "tool" => value!({"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": chat["tool_call_id"], "content": chat["content"]},
        ]}),
        "assistant" => {
            let mut blocks = Vec::new();
            if let Some(text) = chat["content"].as_str() {
                blocks.push(value!({"type": "text", "text": text}));
            }
            for call in chat["tool_calls"].as_array().into_iter().flatten() {
                let function = &call["function"];
                let input = json(function["arguments"].as_str().unwrap());
                blocks.push(value!({"type": "tool_use", "id": call["id"], "name": function["name"], "input": input}));
            }
            value!({"role": "assistant", "content": blocks})
        }
        role => value!({"role": role, "content": chat["content"]}),
    }
}

fn definition(function: &Value) -> Value {
    value!({
        "name": function["name"],
        "description": function["description"],
        "input_schema": function["parameters"],
    })
}

/// Puts a stream together as Anthropic's own SDK does, and is as strict about the order.
#[derive(Default)]
struct Reader {
    said: Said,
    begun: bool,
    /// The block that is open, and the arguments that came of it.
    open: Option<(Value, String)>,
    blocks: usize,
    ended: bool,
}

impl Reader {
    fn event(&mut self, event: &Value) {
        assert!(!self.ended, "something follows the end: {event}");
        let kind = event["type"].as_str().unwrap();
        if kind == "message_start" {
            assert!(!self.begun, "a second message_start");
            self.begun = true;
            let message = &event["message"];
            assert_eq!(
                (&message["content"], &message["stop_reason"]),
                (&value!([]), &Value::Null)
            );
            assert!(message["usage"]["input_tokens"].is_u64());
            return;
        }
        if kind == "error" {
            self.said.error = Some(Messages.error(event));
            self.ended = true;
            return;
        }
        assert!(self.begun, "{kind} before message_start");
        match kind {
            "ping" => {}
            "content_block_start" => {
                assert!(self.open.is_none(), "a block inside a block: {event}");
                assert_eq!(event["index"], self.blocks);
                self.open = Some((event["content_block"].clone(), String::new()));
            }
            "content_block_delta" => {
                assert_eq!(event["index"], self.blocks);
                let (block, text) = self.open.as_mut().expect("an open block");
                let kind = block["type"].as_str().unwrap();
                let (text, member) = match (kind, event["delta"]["type"].as_str().unwrap()) {
                    ("text", "text_delta") => (&mut self.said.text, "text"),
                    ("thinking", "thinking_delta") => (&mut self.said.reasoning, "thinking"),
                    ("tool_use", "input_json_delta") => (text, "partial_json"),
                    (block, delta) => panic!("{delta} in a block of type {block}"),
                };
                *text += event["delta"][member].as_str().unwrap();
            }
            "content_block_stop" => {
                assert_eq!(event["index"], self.blocks);
                self.blocks += 1;
                let (block, text) = self.open.take().expect("an open block");
                if block["type"] == "tool_use" {
                    assert_eq!(block["input"], value!({}), "input comes in deltas");
                    self.said.calls.push((string(&block["name"]), json(&text)));
                }
            }
            "message_delta" => {
                assert!(self.open.is_none(), "message_delta inside a block");
                assert!(event["usage"]["output_tokens"].is_u64());
                self.said.finish = string(&event["delta"]["stop_reason"]);
            }
            "message_stop" => {
                assert!(!self.said.finish.is_empty(), "no stop_reason");
                self.ended = true;
            }
            other => panic!("an event of type {other}"),
        }
    }
}
