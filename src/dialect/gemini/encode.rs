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

/// Adds what all candidates together used, if that is known, and lost.
fn add_totals(object: &mut Value, end: &TurnEnd) {
    if let Some(usage) = &end.usage {
        object["usageMetadata"] = usage_metadata(usage);
    }
    x_cursor::note(object, end.usage.as_ref(), &end.lost_changes);
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
    fn another(&self, stamp: &Stamp) -> Box<dyn Reply> {
        Box::new(Self {
            id: stamp.id.clone(),
            model: self.model.clone(),
            begun: false,
            current: 0,
            ..*self
        })
    }

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
                add_totals(&mut chunk, end);
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

    fn whole(self: Box<Self>, answer: &Collected, others: &[Collected], end: &TurnEnd) -> Vec<u8> {
        let answers = std::iter::once(answer).chain(others).enumerate();
        let candidates = answers.map(|(index, answer)| self.candidate(index, answer));
        let mut body = self.response(candidates.collect());
        add_totals(&mut body, end);
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
mod tests;
