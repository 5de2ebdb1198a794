//! Chunks and whole answers of a chat completion.
//!
//! The frame of a chunk is the same for a whole choice, so it is rendered once; a text delta then
//! costs two copies and the escaping of its text.

use serde_json::{Value, json};

use super::calls::CallEncoder;
use crate::{
    dialect::{
        Reply, Stamp,
        escape::write_json_str,
        frame,
        openai_envelope::{Envelope, add_totals},
        openai_error::error_object,
        x_cursor::{self, Telling},
    },
    turn::{Activity, Collected, Delta, FinishReason, ToolCall, TurnEnd},
};

/// Writes one chat completion.
pub struct ChatReply {
    envelope: Envelope,
    include_usage: bool,
    calls: CallEncoder,
    choices: Vec<Choice>,
    /// Whether the request asks for what ran without the client.
    telling: Telling,
    /// What did, as JSON.
    activity: Vec<Value>,
    /// The choice that is being written.
    current: usize,
}

/// The state of one choice.
struct Choice {
    /// Everything of a chunk before the delta's own members.
    head: Vec<u8>,
    begun: bool,
    tool_calls: usize,
}

/// Everything of a chunk after the delta's own members.
const TAIL: &[u8] = b"},\"logprobs\":null,\"finish_reason\":null}]}\n\n";

impl ChatReply {
    /// A reply to a request for `model` with this many choices. `telling` is for the member
    /// `x_cursor`, which is ours: clients pass over members that they don't know.
    pub fn new(
        stamp: &Stamp,
        model: &str,
        choices: usize,
        include_usage: bool,
        calls: CallEncoder,
        telling: Telling,
    ) -> Self {
        let id = format!("chatcmpl-{}", stamp.id);
        let choice = |index| {
            let head = format!(
                r#"data: {{"id":{},"object":"chat.completion.chunk","created":{},"model":{},"choices":[{{"index":{index},"delta":{{"#,
                Value::from(id.as_str()),
                stamp.created,
                Value::from(model),
            );
            Choice {
                head: head.into_bytes(),
                begun: false,
                tool_calls: 0,
            }
        };
        Self {
            choices: (0..choices).map(choice).collect(),
            telling,
            activity: Vec::new(),
            envelope: Envelope {
                id,
                created: stamp.created,
                model: model.to_owned(),
            },
            include_usage,
            calls,
            current: 0,
        }
    }

    fn chunk(&self, choices: &Value) -> Value {
        self.envelope.object("chat.completion.chunk", choices)
    }

    /// The last chunk of the current choice. What the answer lost stands here and not beside the
    /// usage: the chunk of the usage is not always wanted.
    fn finish(&mut self, reason: &FinishReason, lost_changes: &[String], out: &mut Vec<u8>) {
        if let Some(choice) = self.choices.get_mut(self.current) {
            choice.begin(out);
        }
        let choice = json!([{
            "index": self.current,
            "delta": {},
            "logprobs": null,
            "finish_reason": self.finish_reason(reason),
        }]);
        let mut chunk = self.chunk(&choice);
        x_cursor::note(&mut chunk, None, lost_changes);
        frame::data(&chunk, out);
    }

    fn finish_reason(&self, reason: &FinishReason) -> &'static str {
        match reason {
            FinishReason::Stop | FinishReason::StopSequence(_) => "stop",
            FinishReason::Length => "length",
            FinishReason::ToolCalls if self.calls.legacy => "function_call",
            FinishReason::ToolCalls => "tool_calls",
        }
    }

    fn message(&self, answer: &Collected) -> Value {
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
        if let Some((member, calls)) = self.calls.member(calls) {
            message[member] = calls;
        }
        message
    }
}

impl Choice {
    /// The first chunk says who speaks.
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
            write_json_str(text, out);
        });
    }

    fn call(&mut self, call: &ToolCall, calls: &CallEncoder, out: &mut Vec<u8>) {
        self.begin(out);
        let members = calls.delta(call, self.tool_calls).to_string();
        self.tool_calls += 1;
        self.frame(out, |out| {
            out.extend_from_slice(&members.as_bytes()[1..members.len() - 1]);
        });
    }
}

impl Reply for ChatReply {
    fn another(&self, stamp: &Stamp) -> Box<dyn Reply> {
        Box::new(Self::new(
            stamp,
            &self.envelope.model,
            1,
            self.include_usage,
            self.calls.clone(),
            self.telling,
        ))
    }

    fn choose(&mut self, choice: usize) {
        self.current = choice;
    }

    fn delta(&mut self, delta: &Delta, out: &mut Vec<u8>) {
        let Some(choice) = self.choices.get_mut(self.current) else {
            return;
        };
        match delta {
            Delta::Text(text) => choice.text(br#""content":"#, text, out),
            Delta::Reasoning(text) => choice.text(br#""reasoning_content":"#, text, out),
            Delta::ToolCall(call) => choice.call(call, &self.calls, out),
            Delta::Activity(activity) => match self.telling {
                Telling::Never => {}
                Telling::AtTheEnd => self.activity.push(activity_object(activity)),
                Telling::AtOnce => {
                    choice.begin(out);
                    let mut chunk = self.chunk(&json!([]));
                    chunk["x_cursor"]["activity"] = json!([activity_object(activity)]);
                    frame::data(&chunk, out);
                }
            },
        }
    }

    fn end_choice(&mut self, reason: &FinishReason, out: &mut Vec<u8>) {
        self.finish(reason, &[], out);
    }

    fn end(mut self: Box<Self>, end: &TurnEnd, out: &mut Vec<u8>) {
        match &end.outcome {
            Ok(reason) => {
                self.finish(reason, &end.lost_changes, out);
                let usage = end.usage.filter(|_| self.include_usage);
                let mut chunk = self.chunk(&json!([]));
                add_totals(&mut chunk, usage.as_ref(), &[]);
                let tells = self.telling == Telling::AtTheEnd;
                if tells {
                    chunk["x_cursor"]["activity"] = json!(self.activity);
                }
                if usage.is_some() || tells {
                    frame::data(&chunk, out);
                }
            }
            Err(error) => frame::data(&error_object(error), out),
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn whole(self: Box<Self>, answer: &Collected, others: &[Collected], end: &TurnEnd) -> Vec<u8> {
        let answers = || std::iter::once(answer).chain(others);
        let choice = |(index, answer): (usize, &Collected)| {
            json!({
                "index": index,
                "message": self.message(answer),
                "logprobs": null,
                "finish_reason": self.finish_reason(&answer.finish_reason),
            })
        };
        let choices = answers().enumerate().map(choice).collect();
        let mut body = self.envelope.object("chat.completion", &choices);
        add_totals(&mut body, end.usage.as_ref(), &end.lost_changes);
        if self.telling != Telling::Never {
            let all = answers().flat_map(|answer| &answer.activity);
            body["x_cursor"]["activity"] = all.map(activity_object).collect();
        }
        body.to_string().into_bytes()
    }
}

fn activity_object(activity: &Activity) -> Value {
    json!({"tool": activity.tool, "outcome": activity.outcome})
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
