//! Chunks and whole answers of a chat completion.
//!
//! The frame of a chunk is the same for a whole response, so it is rendered once; a text delta
//! then costs two copies and the escaping of its text.

use serde_json::{Value, json};

use crate::{
    dialect::{
        Answer, Reply, Stamp, frame,
        openai_error::error_object,
        tools::{Form, Forms},
    },
    turn::{Delta, FinishReason, ToolCall, TurnEnd, Usage},
};

/// Writes one chat completion.
pub struct ChatReply {
    id: String,
    created: u64,
    model: String,
    include_usage: bool,
    legacy_functions: bool,
    forms: Forms,
    /// Everything of a chunk before the delta's own members.
    head: Vec<u8>,
    begun: bool,
    tool_calls: usize,
}

/// Everything of a chunk after the delta's own members.
const TAIL: &[u8] = b"},\"logprobs\":null,\"finish_reason\":null}]}\n\n";

impl ChatReply {
    /// A reply to a request for `model`. `legacy_functions`: the request offered `functions`, so
    /// calls are answered as `function_call`.
    pub fn new(
        stamp: &Stamp,
        model: &str,
        include_usage: bool,
        legacy_functions: bool,
        forms: Forms,
    ) -> Self {
        let id = format!("chatcmpl-{}", stamp.id);
        let head = format!(
            r#"data: {{"id":{},"object":"chat.completion.chunk","created":{},"model":{},"choices":[{{"index":0,"delta":{{"#,
            Value::from(id.as_str()),
            stamp.created,
            Value::from(model),
        );
        Self {
            id,
            created: stamp.created,
            model: model.to_owned(),
            include_usage,
            legacy_functions,
            forms,
            head: head.into_bytes(),
            begun: false,
            tool_calls: 0,
        }
    }

    /// The first chunk of a stream says who speaks.
    fn begin(&mut self, out: &mut Vec<u8>) {
        if !self.begun {
            self.begun = true;
            self.frame(out, |out| {
                out.extend_from_slice(br#""role":"assistant","content":"""#);
            });
        }
    }

    fn frame(&self, out: &mut Vec<u8>, members: impl FnOnce(&mut Vec<u8>)) {
        out.extend_from_slice(&self.head);
        members(out);
        out.extend_from_slice(TAIL);
    }

    fn text(&mut self, member: &[u8], text: &str, out: &mut Vec<u8>) {
        self.begin(out);
        self.frame(out, |out| {
            out.extend_from_slice(member);
            frame::json_str(text, out);
        });
    }

    fn tool_call(&mut self, call: &ToolCall, out: &mut Vec<u8>) {
        self.begin(out);
        let members = if self.legacy_functions {
            json!({"function_call": function(call)})
        } else {
            let mut object = json!({"index": self.tool_calls});
            self.write_call(call, &mut object);
            json!({"tool_calls": [object]})
        };
        self.tool_calls += 1;
        let members = members.to_string();
        self.frame(out, |out| {
            out.extend_from_slice(&members.as_bytes()[1..members.len() - 1]);
        });
    }

    fn write_call(&self, call: &ToolCall, object: &mut Value) {
        object["id"] = call.id.as_str().into();
        if self.forms.get(&call.name).is_some_and(|form| form.is_text) {
            object["type"] = "custom".into();
            object["custom"] = json!({"name": call.name, "input": Form::text(&call.arguments)});
        } else {
            object["type"] = "function".into();
            object["function"] = function(call);
        }
    }

    fn finish_reason(&self, reason: &FinishReason) -> &'static str {
        match reason {
            FinishReason::Stop | FinishReason::StopSequence(_) => "stop",
            FinishReason::Length => "length",
            FinishReason::ToolCalls if self.legacy_functions => "function_call",
            FinishReason::ToolCalls => "tool_calls",
        }
    }

    fn chunk(&self, choices: &Value) -> Value {
        json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": choices,
        })
    }
}

impl Reply for ChatReply {
    fn delta(&mut self, delta: &Delta, out: &mut Vec<u8>) {
        match delta {
            Delta::Text(text) => self.text(br#""content":"#, text, out),
            Delta::Reasoning(text) => self.text(br#""reasoning_content":"#, text, out),
            Delta::ToolCall(call) => self.tool_call(call, out),
        }
    }

    fn end(mut self: Box<Self>, end: &TurnEnd, out: &mut Vec<u8>) {
        match &end.outcome {
            Ok(reason) => {
                self.begin(out);
                let choice = json!([{
                    "index": 0,
                    "delta": {},
                    "logprobs": null,
                    "finish_reason": self.finish_reason(reason),
                }]);
                frame::data(&self.chunk(&choice), out);
                if let Some(usage) = end.usage.filter(|_| self.include_usage) {
                    let mut chunk = self.chunk(&json!([]));
                    chunk["usage"] = usage_object(&usage);
                    frame::data(&chunk, out);
                }
            }
            Err(error) => frame::data(&error_object(error), out),
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn whole(self: Box<Self>, answer: &Answer) -> Vec<u8> {
        let calls = &answer.tool_calls;
        let content = if answer.text.is_empty() && !calls.is_empty() {
            Value::Null
        } else {
            answer.text.as_str().into()
        };
        let mut message = json!({"role": "assistant", "content": content, "refusal": null});
        if !answer.reasoning.is_empty() {
            message["reasoning_content"] = answer.reasoning.as_str().into();
        }
        match calls.first() {
            Some(call) if self.legacy_functions => message["function_call"] = function(call),
            Some(_) => {
                message["tool_calls"] = calls
                    .iter()
                    .map(|call| {
                        let mut object = json!({});
                        self.write_call(call, &mut object);
                        object
                    })
                    .collect();
            }
            None => {}
        }
        let mut body = json!({
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": [{
                "index": 0,
                "message": message,
                "logprobs": null,
                "finish_reason": self.finish_reason(&answer.finish_reason),
            }],
        });
        if let Some(usage) = &answer.usage {
            body["usage"] = usage_object(usage);
        }
        body.to_string().into_bytes()
    }
}

fn function(call: &ToolCall) -> Value {
    json!({"name": call.name, "arguments": call.arguments})
}

/// OpenAI counts cache reads and writes as part of the prompt; Cursor counts them beside it.
fn usage_object(usage: &Usage) -> Value {
    let prompt = usage.input + usage.cache_read.unwrap_or(0) + usage.cache_write.unwrap_or(0);
    let mut object = json!({
        "prompt_tokens": prompt,
        "completion_tokens": usage.output,
        "total_tokens": prompt + usage.output,
    });
    if let Some(cached) = usage.cache_read {
        object["prompt_tokens_details"]["cached_tokens"] = cached.into();
    }
    if let Some(written) = usage.cache_write {
        object["prompt_tokens_details"]["cache_write_tokens"] = written.into();
    }
    if let Some(reasoning) = usage.reasoning {
        object["completion_tokens_details"]["reasoning_tokens"] = reasoning.into();
    }
    if let Some(cost) = usage.cost {
        object["cost"] = cost.into();
    }
    object
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::turn::{ErrorKind, TurnError};

    fn reply(include_usage: bool, legacy: bool) -> Box<ChatReply> {
        let stamp = Stamp {
            id: "x".to_owned(),
            created: 7,
        };
        Box::new(ChatReply::new(
            &stamp,
            "a\"b",
            include_usage,
            legacy,
            Forms::new(),
        ))
    }

    fn call(id: &str) -> ToolCall {
        ToolCall {
            id: id.to_owned(),
            name: "read".to_owned(),
            arguments: r#"{"filePath":"a"}"#.to_owned(),
        }
    }

    fn stream(mut reply: Box<ChatReply>, deltas: &[Delta], end: &TurnEnd) -> Vec<Value> {
        let mut out = Vec::new();
        for delta in deltas {
            reply.delta(delta, &mut out);
        }
        reply.end(end, &mut out);
        let text = String::from_utf8(out).unwrap();
        let mut frames: Vec<&str> = text.split_terminator("\n\n").collect();
        assert_eq!(frames.pop(), Some("data: [DONE]"));
        frames
            .iter()
            .map(|frame| serde_json::from_str(frame.strip_prefix("data: ").unwrap()).unwrap())
            .collect()
    }

    const USAGE: Usage = Usage {
        input: 10,
        output: 5,
        cache_read: Some(100),
        cache_write: Some(7),
        reasoning: None,
        cost: None,
    };

    #[test]
    fn a_text_stream() {
        let deltas = [Delta::Reasoning("hm".into()), Delta::Text("a\n\"é".into())];
        let end = TurnEnd::finished(FinishReason::Stop, Some(USAGE));
        let chunks = stream(reply(true, false), &deltas, &end);
        assert_eq!(
            chunks[0]["choices"][0]["delta"],
            json!({"role": "assistant", "content": ""})
        );
        assert_eq!(
            chunks[1]["choices"][0]["delta"],
            json!({"reasoning_content": "hm"})
        );
        assert_eq!(
            chunks[2]["choices"][0]["delta"],
            json!({"content": "a\n\"é"})
        );
        assert_eq!(chunks[3]["choices"][0]["finish_reason"], "stop");
        assert_eq!(chunks[4]["choices"], json!([]));
        assert_eq!(
            chunks[4]["usage"],
            json!({"prompt_tokens": 117, "completion_tokens": 5, "total_tokens": 122,
                "prompt_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 7}})
        );
        for chunk in &chunks {
            assert_eq!(chunk["id"], "chatcmpl-x");
            assert_eq!(chunk["model"], "a\"b");
            assert_eq!(chunk["created"], 7);
            assert_eq!(chunk["object"], "chat.completion.chunk");
        }
    }

    #[test]
    fn usage_is_sent_only_if_wanted_and_known() {
        let end = TurnEnd::finished(FinishReason::Stop, Some(USAGE));
        assert_eq!(stream(reply(false, false), &[], &end).len(), 2);
        let unknown = TurnEnd::finished(FinishReason::Stop, None);
        assert_eq!(stream(reply(true, false), &[], &unknown).len(), 2);
    }

    #[test]
    fn parallel_calls_have_their_own_index() {
        let deltas = [Delta::ToolCall(call("c1")), Delta::ToolCall(call("c2"))];
        let end = TurnEnd::finished(FinishReason::ToolCalls, None);
        let chunks = stream(reply(true, false), &deltas, &end);
        for (index, id) in ["c1", "c2"].iter().enumerate() {
            assert_eq!(
                chunks[index + 1]["choices"][0]["delta"]["tool_calls"],
                json!([{"index": index, "id": id, "type": "function",
                    "function": {"name": "read", "arguments": "{\"filePath\":\"a\"}"}}])
            );
        }
        assert_eq!(chunks[3]["choices"][0]["finish_reason"], "tool_calls");
    }

    #[test]
    fn an_error_is_an_event_and_never_a_finish() {
        let end = TurnEnd::failed(TurnError::new(ErrorKind::AgentFailed, "died"));
        let chunks = stream(reply(true, false), &[Delta::Text("half".into())], &end);
        assert_eq!(chunks.len(), 3);
        assert_eq!(chunks[2]["error"]["message"], "died");
    }

    #[test]
    fn whole_answers() {
        let mut answer = Answer::empty();
        answer.push(Delta::ToolCall(call("c1")));
        answer.finish_reason = FinishReason::ToolCalls;
        answer.usage = Some(USAGE);
        let body: Value = serde_json::from_slice(&reply(true, false).whole(&answer)).unwrap();
        let message = &body["choices"][0]["message"];
        assert_eq!(message["content"], Value::Null);
        assert_eq!(message["tool_calls"][0]["function"]["name"], "read");
        assert_eq!(body["choices"][0]["finish_reason"], "tool_calls");
        assert_eq!(body["usage"]["total_tokens"], 122);

        let body: Value = serde_json::from_slice(&reply(true, true).whole(&answer)).unwrap();
        assert_eq!(body["choices"][0]["finish_reason"], "function_call");
        assert_eq!(
            body["choices"][0]["message"]["function_call"]["name"],
            "read"
        );

        let body: Value =
            serde_json::from_slice(&reply(true, false).whole(&Answer::empty())).unwrap();
        assert_eq!(
            body["choices"][0]["message"],
            json!({"role": "assistant", "content": "", "refusal": null})
        );
    }
}
