//! OpenAI's chat completions.

use serde_json::Value;

use super::{Said, Wire, json, string};
use crate::support::Stream;

pub struct Chat;

impl Wire for Chat {
    fn name(&self) -> &'static str {
        "response"
    }

    fn path(&self) -> &'static str {
        "/v1/chat/completions"
    }

    fn request(&self, chat: &Value) -> Option<Value> {
        Some(chat.clone())
    }

    fn stream(&self, body: &str) -> Said {
        let stream = Stream::parse(body);
        Said {
            calls: stream.calls(),
            text: stream.text,
            reasoning: stream.reasoning,
            finish: stream.finish_reason.unwrap_or_default(),
            error: stream.error.map(|error| string(&error["message"])),
        }
    }

    fn whole(&self, body: &Value) -> Said {
        let choice = &body["choices"][0];
        let message = &choice["message"];
        let calls = message["tool_calls"].as_array().into_iter().flatten();
        let calls = calls.map(|call| &call["function"]);
        Said {
            text: string(&message["content"]),
            reasoning: string(&message["reasoning_content"]),
            calls: calls
                .chain(message.get("function_call"))
                .map(|function| {
                    (
                        string(&function["name"]),
                        json(&string(&function["arguments"])),
                    )
                })
                .collect(),
            finish: string(&choice["finish_reason"]),
            error: None,
        }
    }

    fn error(&self, body: &Value) -> String {
        string(&body["error"]["message"])
    }
}
