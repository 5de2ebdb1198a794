//! Reads a streamed chat completion and checks what must hold for every one.

use async_openai::types::chat::CreateChatCompletionStreamResponse;
use serde_json::{Value, json};

/// A streamed answer, put together.
#[derive(Debug, Default)]
pub struct Stream {
    pub text: String,
    pub reasoning: String,
    pub tool_calls: Vec<Value>,
    pub finish_reason: Option<String>,
    pub usage: Option<Value>,
    pub x_cursor: Option<Value>,
    pub error: Option<Value>,
    pub chunks: Vec<Value>,
}

impl Stream {
    /// Parses the body of an answer and checks the invariants: one JSON object per event, chunks
    /// that a published client's types accept, the same id throughout, the role first, tool calls
    /// numbered from 0 with distinct ids, exactly one finish or one error, and `[DONE]` last.
    pub fn parse(body: &str) -> Self {
        assert!(body.ends_with("\n\n"), "cut off: {body:?}");
        let mut stream = Self::default();
        let mut done = false;
        for event in body.split_terminator("\n\n") {
            if event.starts_with(": ") {
                continue;
            }
            assert!(!done, "something follows [DONE]: {event}");
            let data = event
                .strip_prefix("data: ")
                .expect("an event is one data line");
            assert!(!data.contains('\n'), "{data}");
            if data == "[DONE]" {
                done = true;
            } else {
                stream.add(serde_json::from_str(data).expect("JSON"));
            }
        }
        assert!(done, "no [DONE]: {body}");
        assert!(
            stream.finish_reason.is_some() != stream.error.is_some(),
            "neither or both of a finish and an error: {body}"
        );
        stream
    }

    fn add(&mut self, chunk: Value) {
        assert!(self.error.is_none(), "something follows the error: {chunk}");
        if let Some(error) = chunk.get("error") {
            for key in ["message", "type", "param", "code"] {
                assert!(error.get(key).is_some(), "{error} lacks {key}");
            }
            self.error = Some(error.clone());
            return;
        }
        let typed: CreateChatCompletionStreamResponse =
            serde_json::from_value(chunk.clone()).unwrap_or_else(|e| panic!("{e}: {chunk}"));
        assert_eq!(typed.object, "chat.completion.chunk");
        assert!(typed.id.starts_with("chatcmpl-"));
        if let Some(first) = self.chunks.first() {
            for key in ["id", "created", "model"] {
                assert_eq!(first[key], chunk[key]);
            }
        } else {
            assert_eq!(chunk["choices"][0]["delta"]["role"], "assistant");
        }
        if chunk["choices"] == json!([]) {
            assert!(self.finish_reason.is_some(), "usage comes after the finish");
            assert!(
                self.usage.is_none() && self.x_cursor.is_none(),
                "it comes once"
            );
            self.usage = chunk.get("usage").cloned();
            self.x_cursor = chunk.get("x_cursor").cloned();
            assert!(self.usage.is_some() || self.x_cursor.is_some(), "{chunk}");
        } else {
            assert!(
                chunk.get("usage").is_none(),
                "it has a chunk of its own: {chunk}"
            );
            // Only what was lost stands beside the finish; the rest beside the usage.
            if let Some(x_cursor) = chunk.get("x_cursor") {
                let members: Vec<&String> = x_cursor.as_object().unwrap().keys().collect();
                assert_eq!(members, ["lost_changes"], "{chunk}");
                assert!(chunk["choices"][0]["finish_reason"].is_string(), "{chunk}");
            }
            self.add_choice(&chunk["choices"][0]);
        }
        self.chunks.push(chunk);
    }

    fn add_choice(&mut self, choice: &Value) {
        assert!(self.finish_reason.is_none(), "something follows the finish");
        let delta = &choice["delta"];
        self.text += delta["content"].as_str().unwrap_or_default();
        self.reasoning += delta["reasoning_content"].as_str().unwrap_or_default();
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            assert_eq!(call["index"], self.tool_calls.len());
            assert_eq!(call["type"], "function");
            let id = call["id"].as_str().unwrap();
            assert!(!id.is_empty() && !id.contains('\n'), "{id:?}");
            assert!(
                self.tool_calls.iter().all(|other| other["id"] != id),
                "{id} twice"
            );
            let arguments = call["function"]["arguments"].as_str().unwrap();
            assert!(
                serde_json::from_str::<Value>(arguments)
                    .unwrap()
                    .is_object()
            );
            self.tool_calls.push(call.clone());
        }
        let legacy = delta.get("function_call");
        if let Some(function) = legacy {
            assert!(self.tool_calls.is_empty(), "the legacy form holds one call");
            self.tool_calls.push(json!({ "function": function }));
        }
        self.finish_reason = choice["finish_reason"].as_str().map(str::to_owned);
        if let Some(reason) = &self.finish_reason {
            let allowed: &[&str] = match self.tool_calls.first() {
                None => &["stop", "length"],
                Some(call) if call.get("id").is_some() => &["tool_calls"],
                Some(_) => &["function_call"],
            };
            assert!(allowed.contains(&reason.as_str()), "{reason}");
        }
    }

    /// Name and arguments of each call.
    pub fn calls(&self) -> Vec<(String, Value)> {
        self.tool_calls
            .iter()
            .map(|call| {
                let function = &call["function"];
                let arguments = function["arguments"].as_str().unwrap();
                (
                    function["name"].as_str().unwrap().to_owned(),
                    serde_json::from_str(arguments).unwrap(),
                )
            })
            .collect()
    }
}
