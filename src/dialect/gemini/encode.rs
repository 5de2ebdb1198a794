//! Chunks and whole answers of `generateContent`.
//!
//! Every chunk is a whole response with what is new in it; the last one has the finish reason and
//! the usage. They are server-sent events, or the elements of one JSON array.

use serde_json::{Value, json};

use super::error::error_object;
use crate::{
    dialect::{COMMENT, Reply, Stamp, Streaming, escape::write_json_str, x_cursor},
    turn::{Collected, Delta, FinishReason, ToolCall, TurnEnd, Usage},
};

/// Writes one response.
pub struct GeminiReply {
    id: String,
    model: String,
    is_array: bool,
    shows_thoughts: bool,
    begun: bool,
    /// The candidate that is being written.
    current: usize,
}

impl GeminiReply {
    /// A reply to a request for `model`.
    pub fn new(stamp: &Stamp, model: &str, streaming: Streaming, shows_thoughts: bool) -> Self {
        Self {
            id: stamp.id.clone(),
            model: model.to_owned(),
            is_array: streaming == Streaming::Array,
            shows_thoughts,
            begun: false,
            current: 0,
        }
    }

    fn response(&self, candidates: Value) -> Value {
        json!({"candidates": candidates, "modelVersion": self.model, "responseId": self.id})
    }

    /// Appends a chunk that `write` writes.
    fn chunk(&mut self, out: &mut Vec<u8>, write: impl FnOnce(&Self, &mut Vec<u8>)) {
        out.extend_from_slice(match (self.is_array, self.begun) {
            (true, false) => b"[",
            (true, true) => b",",
            (false, _) => b"data: ",
        });
        self.begun = true;
        write(self, out);
        out.extend_from_slice(if self.is_array { b"\n" } else { b"\n\n" });
    }

    fn value(&mut self, value: &Value, out: &mut Vec<u8>) {
        self.chunk(out, |_, out| {
            out.extend_from_slice(value.to_string().as_bytes())
        });
    }

    fn text(&mut self, text: &str, mark: &str, out: &mut Vec<u8>) {
        self.chunk(out, |this, out| {
            out.extend_from_slice(
                br#"{"candidates":[{"content":{"role":"model","parts":[{"text":"#,
            );
            write_json_str(text, out);
            let tail = format!(
                r#"{mark}}}]}},"index":{}}}],"modelVersion":{},"responseId":{}}}"#,
                this.current,
                Value::from(this.model.as_str()),
                Value::from(this.id.as_str()),
            );
            out.extend_from_slice(tail.as_bytes());
        });
    }

    fn last(&self, reason: &FinishReason) -> Value {
        // A text without characters: clients take a content without parts for a broken one.
        self.response(json!([{
            "content": {"role": "model", "parts": [{"text": ""}]},
            "finishReason": finish_reason(reason),
            "index": self.current,
        }]))
    }

    fn candidate(&self, index: usize, answer: &Collected) -> Value {
        let mut parts = Vec::new();
        if self.shows_thoughts && !answer.reasoning.is_empty() {
            parts.push(json!({"text": answer.reasoning, "thought": true}));
        }
        if !answer.text.is_empty() || answer.tool_calls.is_empty() {
            parts.push(json!({"text": answer.text}));
        }
        parts.extend(answer.tool_calls.iter().map(function_call));
        json!({
            "content": {"role": "model", "parts": parts},
            "finishReason": finish_reason(&answer.finish_reason),
            "index": index,
        })
    }
}

fn finish_reason(reason: &FinishReason) -> &'static str {
    match reason {
        FinishReason::Length => "MAX_TOKENS",
        FinishReason::Stop | FinishReason::StopSequence(_) | FinishReason::ToolCalls => "STOP",
    }
}

fn function_call(call: &ToolCall) -> Value {
    // Arguments are always a JSON object; a member is the nearest to something that is not.
    let args = serde_json::from_str(&call.arguments)
        .ok()
        .filter(Value::is_object)
        .unwrap_or_else(|| json!({"input": call.arguments}));
    json!({"functionCall": {"id": call.id, "name": call.name, "args": args}})
}

/// Google counts cache reads as part of the prompt, and thoughts beside the answer.
fn usage_metadata(usage: &Usage) -> Value {
    let prompt = usage.input + usage.cache_read.unwrap_or(0) + usage.cache_write.unwrap_or(0);
    let mut object = json!({
        "promptTokenCount": prompt,
        "candidatesTokenCount": usage.output - usage.reasoning.unwrap_or(0).min(usage.output),
        "totalTokenCount": prompt + usage.output,
    });
    if let Some(cached) = usage.cache_read {
        object["cachedContentTokenCount"] = cached.into();
    }
    if let Some(reasoning) = usage.reasoning {
        object["thoughtsTokenCount"] = reasoning.into();
    }
    object
}

impl Reply for GeminiReply {
    fn choose(&mut self, choice: usize) {
        self.current = choice;
    }

    fn delta(&mut self, delta: &Delta, out: &mut Vec<u8>) {
        match delta {
            Delta::Text(text) => self.text(text, "", out),
            Delta::Reasoning(text) if self.shows_thoughts => {
                self.text(text, r#","thought":true"#, out);
            }
            Delta::Reasoning(_) | Delta::Activity(_) => {}
            Delta::ToolCall(call) => {
                let content = json!({"role": "model", "parts": [function_call(call)]});
                let chunk = self.response(json!([{"content": content, "index": self.current}]));
                self.value(&chunk, out);
            }
        }
    }

    fn end_choice(&mut self, reason: &FinishReason, out: &mut Vec<u8>) {
        let chunk = self.last(reason);
        self.value(&chunk, out);
    }

    fn end(mut self: Box<Self>, end: &TurnEnd, out: &mut Vec<u8>) {
        let chunk = match &end.outcome {
            Ok(reason) => {
                let mut chunk = self.last(reason);
                if let Some(usage) = &end.usage {
                    chunk["usageMetadata"] = usage_metadata(usage);
                }
                x_cursor::note(&mut chunk, end.usage.as_ref(), &end.lost_changes);
                chunk
            }
            Err(error) => {
                if !self.is_array {
                    // Google writes a bare object, and its SDK for JavaScript takes only that for
                    // an error: an event with an error in it is an answer without an end to it.
                    out.extend_from_slice(error_object(error).to_string().as_bytes());
                    out.extend_from_slice(b"\n\n");
                    return;
                }
                error_object(error)
            }
        };
        self.value(&chunk, out);
        if self.is_array {
            out.extend_from_slice(b"]\n");
        }
    }

    fn whole(self: Box<Self>, answer: &Collected, others: &[Collected]) -> Vec<u8> {
        let answers: Vec<&Collected> = std::iter::once(answer).chain(others).collect();
        let candidates = answers.iter().enumerate();
        let candidates: Value = candidates
            .map(|(index, answer)| self.candidate(index, answer))
            .collect();
        let mut body = self.response(candidates);
        let usage = Collected::usage_of(&answers);
        if let Some(usage) = &usage {
            body["usageMetadata"] = usage_metadata(usage);
        }
        x_cursor::note(
            &mut body,
            usage.as_ref(),
            &Collected::lost_changes_of(&answers),
        );
        body.to_string().into_bytes()
    }

    fn heartbeat(&self) -> &'static [u8] {
        match self.is_array {
            // White space may stand anywhere between the elements of an array.
            true => b"\n",
            false => COMMENT,
        }
    }

    fn content_type(&self) -> &'static str {
        match self.is_array {
            true => "application/json",
            false => "text/event-stream",
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::turn::{ErrorKind, TurnError};

    fn reply(streaming: Streaming) -> Box<GeminiReply> {
        let stamp = Stamp {
            id: "1".to_owned(),
            created: 1,
            owner: None,
        };
        Box::new(GeminiReply::new(&stamp, "m", streaming, true))
    }

    fn call(arguments: &str) -> ToolCall {
        ToolCall {
            id: "call_1".to_owned(),
            name: "ls".to_owned(),
            arguments: arguments.to_owned(),
        }
    }

    #[test]
    fn an_array_is_json_at_every_end() {
        let usage = Usage {
            input: 1,
            cache_read: Some(2),
            output: 5,
            reasoning: Some(4),
            ..Usage::default()
        };
        for (said, end) in [
            (true, TurnEnd::finished(FinishReason::Stop, Some(usage))),
            (
                true,
                TurnEnd::failed(TurnError::new(ErrorKind::AgentFailed, "no")),
            ),
            (
                false,
                TurnEnd::failed(TurnError::new(ErrorKind::AgentFailed, "no")),
            ),
            (false, TurnEnd::finished(FinishReason::Length, None)),
        ] {
            let mut reply = reply(Streaming::Array);
            let mut out = reply.heartbeat().to_vec();
            if said {
                reply.delta(&Delta::Reasoning("h\"m".to_owned()), &mut out);
                out.extend_from_slice(reply.heartbeat());
                reply.delta(&Delta::Text("hi".to_owned()), &mut out);
                reply.delta(&Delta::ToolCall(call("{\"a\":1}")), &mut out);
            }
            reply.end(&end, &mut out);
            let chunks: Vec<Value> = serde_json::from_slice(&out).unwrap();
            assert_eq!(chunks.len(), if said { 4 } else { 1 });
            let last = chunks.last().unwrap();
            match &end.outcome {
                Err(_) => assert_eq!(last["error"]["code"], 502),
                Ok(reason) => {
                    let found = &last["candidates"][0]["finishReason"];
                    assert_eq!(found, finish_reason(reason));
                }
            }
            if end.usage.is_some() {
                assert_eq!(
                    last["usageMetadata"],
                    json!({
                        "promptTokenCount": 3, "cachedContentTokenCount": 2,
                        "candidatesTokenCount": 1, "thoughtsTokenCount": 4, "totalTokenCount": 8,
                    })
                );
            }
            if said {
                let part = |at: usize| &chunks[at]["candidates"][0]["content"]["parts"][0];
                assert_eq!(part(0), &json!({"text": "h\"m", "thought": true}));
                assert_eq!(part(1), &json!({"text": "hi"}));
                assert_eq!(part(2)["functionCall"]["args"], json!({"a": 1}));
            }
        }
    }

    #[test]
    fn an_error_in_a_stream_is_a_bare_object() {
        let mut out = Vec::new();
        let error = TurnError::new(ErrorKind::UsageLimit, "no");
        reply(Streaming::Events).end(&TurnEnd::failed(error), &mut out);
        let out = String::from_utf8(out).unwrap();
        // Google's SDK for Python looks for just this beginning.
        assert!(
            out.starts_with("{\"error\":{\"code\":402,") && out.ends_with("}}\n\n"),
            "{out}"
        );
    }

    #[test]
    fn candidates_have_their_numbers() {
        let mut reply = reply(Streaming::Events);
        let mut out = Vec::new();
        for choice in [1, 0] {
            reply.choose(choice);
            reply.delta(&Delta::Text(choice.to_string()), &mut out);
        }
        reply.end_choice(&FinishReason::Stop, &mut out);
        let out = String::from_utf8(out).unwrap();
        let chunks = out.split_terminator("\n\n").map(|frame| {
            let chunk: Value = serde_json::from_str(&frame["data: ".len()..]).unwrap();
            chunk["candidates"][0].clone()
        });
        let said: Vec<_> = chunks
            .map(|it| {
                (
                    it["index"].as_u64().unwrap(),
                    it["content"]["parts"][0]["text"].clone(),
                )
            })
            .collect();
        assert_eq!(said, [(1, json!("1")), (0, json!("0")), (0, json!(""))]);
    }

    #[test]
    fn arguments_are_an_object_whatever_they_are() {
        for (arguments, args) in [
            ("{\"a\":1}", json!({"a": 1})),
            ("broken", json!({"input": "broken"})),
            ("[1]", json!({"input": "[1]"})),
        ] {
            assert_eq!(
                function_call(&call(arguments))["functionCall"]["args"],
                args
            );
        }
    }
}
