//! Events and whole answers of Messages.
//!
//! ```text
//! message_start, ping
//!   content_block_start, content_block_delta…, content_block_stop    for each block
//! message_delta (stop_reason, usage), message_stop
//! ```

use serde_json::{Value, json};

use super::error::error_object;
use crate::{
    dialect::{Reply, Stamp, escape::write_json_str, frame, x_cursor},
    turn::{
        BYTES_PER_TOKEN, Collected, Delta, FinishReason, ToolCall, Turn, TurnEnd, Usage,
        estimate_tokens,
    },
};

/// Writes one message.
pub struct MessagesReply {
    id: String,
    model: String,
    shows_thinking: bool,
    /// Stands in for the count that the types demand where Cursor gives none.
    estimated_input: u64,
    /// Bytes of text and arguments written, for the same purpose.
    written: usize,
    begun: bool,
    open: Option<Block>,
    /// How many blocks there have been.
    blocks: usize,
}

/// The kinds of blocks that grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    Text,
    Thinking,
}

fn message_id(stamp: &Stamp) -> String {
    format!("msg_{}", stamp.id)
}

const PING: &[u8] = b"event: ping\ndata: {\"type\":\"ping\"}\n\n";

impl MessagesReply {
    /// A reply to a request for `turn`.
    pub fn new(stamp: &Stamp, turn: &Turn, shows_thinking: bool) -> Self {
        Self {
            id: message_id(stamp),
            model: turn.model.clone(),
            shows_thinking,
            estimated_input: estimate_tokens(turn),
            written: 0,
            begun: false,
            open: None,
            blocks: 0,
        }
    }

    fn message(&self, content: Value) -> Value {
        json!({
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": content,
            "stop_reason": null,
            "stop_sequence": null,
            "usage": usage(&self.counted(None)),
        })
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if !self.begun {
            self.begun = true;
            let start = json!({"type": "message_start", "message": self.message(json!([]))});
            frame::event("message_start", &start, out);
            out.extend_from_slice(PING);
        }
    }

    fn start(&mut self, block: &Value, out: &mut Vec<u8>) {
        let start = json!({
            "type": "content_block_start", "index": self.blocks, "content_block": block,
        });
        frame::event("content_block_start", &start, out);
        self.blocks += 1;
    }

    /// Ends the block that was started last.
    fn stop(&mut self, out: &mut Vec<u8>) {
        let stop = json!({"type": "content_block_stop", "index": self.blocks - 1});
        frame::event("content_block_stop", &stop, out);
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if self.open.take().is_some() {
            self.stop(out);
        }
    }

    fn grow(&mut self, block: Block, text: &str, out: &mut Vec<u8>) {
        self.begin(out);
        if self.open != Some(block) {
            self.close(out);
            self.start(&block.empty(), out);
            self.open = Some(block);
        }
        self.written += text.len();
        let (kind, member) = block.delta();
        out.extend_from_slice(b"event: content_block_delta\ndata: ");
        let head = format!(
            r#"{{"type":"content_block_delta","index":{},"delta":{{"type":"{kind}","{member}":"#,
            self.blocks - 1
        );
        out.extend_from_slice(head.as_bytes());
        write_json_str(text, out);
        out.extend_from_slice(b"}}\n\n");
    }

    fn call(&mut self, call: &ToolCall, out: &mut Vec<u8>) {
        self.begin(out);
        self.close(out);
        self.start(&tool_use(call, json!({})), out);
        self.written += call.arguments.len();
        let delta = json!({
            "type": "content_block_delta",
            "index": self.blocks - 1,
            "delta": {"type": "input_json_delta", "partial_json": call.arguments},
        });
        frame::event("content_block_delta", &delta, out);
        self.stop(out);
    }

    /// What is counted up to now: Anthropic's types demand that, so what the agent did not count is
    /// our estimate, and says so.
    fn counted(&self, usage: Option<Usage>) -> Usage {
        usage.unwrap_or_else(|| Usage {
            input: self.estimated_input,
            output: (self.written as u64).div_ceil(BYTES_PER_TOKEN),
            estimated: true,
            ..Usage::default()
        })
    }
}

/// Anthropic counts cache reads and writes beside the input, as Cursor does.
fn usage(usage: &Usage) -> Value {
    let mut object = json!({
        "input_tokens": usage.input,
        "output_tokens": usage.output,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cache_read,
    });
    if let Some(reasoning) = usage.reasoning {
        object["output_tokens_details"]["thinking_tokens"] = reasoning.into();
    }
    object
}

impl Block {
    fn empty(self) -> Value {
        match self {
            Self::Text => json!({"type": "text", "text": "", "citations": null}),
            // Signatures let Anthropic verify its own reasoning; there is none to verify here.
            Self::Thinking => json!({"type": "thinking", "thinking": "", "signature": ""}),
        }
    }

    /// The delta's type and the member that holds its text.
    fn delta(self) -> (&'static str, &'static str) {
        match self {
            Self::Text => ("text_delta", "text"),
            Self::Thinking => ("thinking_delta", "thinking"),
        }
    }
}

impl Reply for MessagesReply {
    fn another(&self, stamp: &Stamp) -> Box<dyn Reply> {
        Box::new(Self {
            id: message_id(stamp),
            model: self.model.clone(),
            ..*self
        })
    }

    fn delta(&mut self, delta: &Delta, out: &mut Vec<u8>) {
        match delta {
            Delta::Text(text) => self.grow(Block::Text, text, out),
            Delta::Reasoning(text) if self.shows_thinking => self.grow(Block::Thinking, text, out),
            Delta::Reasoning(_) | Delta::Activity(_) => {}
            Delta::ToolCall(call) => self.call(call, out),
        }
    }

    fn end(mut self: Box<Self>, end: &TurnEnd, out: &mut Vec<u8>) {
        match &end.outcome {
            Ok(reason) => {
                self.begin(out);
                self.close(out);
                let (stop_reason, stop_sequence) = stop_reason(reason);
                let counted = self.counted(end.usage);
                let mut delta = json!({
                    "type": "message_delta",
                    "delta": {"stop_reason": stop_reason, "stop_sequence": stop_sequence},
                    "usage": usage(&counted),
                });
                x_cursor::note(&mut delta, Some(&counted), &end.lost_changes);
                frame::event("message_delta", &delta, out);
                frame::event("message_stop", &json!({"type": "message_stop"}), out);
            }
            Err(error) => frame::event("error", &error_object(error), out),
        }
    }

    fn whole(mut self: Box<Self>, answer: &Collected, _: &[Collected], end: &TurnEnd) -> Vec<u8> {
        let mut content = Vec::new();
        let arguments: usize = answer.tool_calls.iter().map(|c| c.arguments.len()).sum();
        self.written = answer.text.len() + arguments;
        if self.shows_thinking && !answer.reasoning.is_empty() {
            let mut block = Block::Thinking.empty();
            block["thinking"] = answer.reasoning.as_str().into();
            self.written += answer.reasoning.len();
            content.push(block);
        }
        if !answer.text.is_empty() {
            let mut block = Block::Text.empty();
            block["text"] = answer.text.as_str().into();
            content.push(block);
        }
        for call in &answer.tool_calls {
            // Arguments are always JSON; a text is the nearest to something that isn't.
            let input = serde_json::from_str(&call.arguments)
                .unwrap_or_else(|_| Value::from(call.arguments.as_str()));
            content.push(tool_use(call, input));
        }
        let mut message = self.message(content.into());
        let (stop_reason, stop_sequence) = stop_reason(&answer.finish_reason);
        message["stop_reason"] = stop_reason.into();
        message["stop_sequence"] = stop_sequence.into();
        let counted = self.counted(end.usage);
        message["usage"] = usage(&counted);
        x_cursor::note(&mut message, Some(&counted), &end.lost_changes);
        message.to_string().into_bytes()
    }

    fn heartbeat(&self) -> &'static [u8] {
        PING
    }
}

fn tool_use(call: &ToolCall, input: Value) -> Value {
    json!({
        "type": "tool_use",
        "id": call.id,
        "name": call.name,
        "input": input,
        "caller": {"type": "direct"},
    })
}

fn stop_reason(reason: &FinishReason) -> (&'static str, Option<&str>) {
    match reason {
        FinishReason::Stop => ("end_turn", None),
        FinishReason::ToolCalls => ("tool_use", None),
        FinishReason::Length => ("max_tokens", None),
        FinishReason::StopSequence(stop) => ("stop_sequence", Some(stop)),
    }
}
