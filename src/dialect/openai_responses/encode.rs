//! The events of a response, numbered in sequence.
//!
//! ```text
//! response.created, response.in_progress
//!   output_item.added
//!     message:   content_part.added, output_text.delta…, output_text.done, content_part.done
//!     reasoning: the same with reasoning_summary_part and reasoning_summary_text
//!     call:      function_call_arguments.delta, .done (custom_tool_call_input for custom tools)
//!   output_item.done
//! response.completed | response.incomplete | response.failed
//! ```

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    output::{self, CallItem, ItemKind},
    response::ResponseHead,
    store::{NewResponse, Store},
};
use crate::{
    dialect::{Reply, Stamp, escape::write_json_str, frame, is_worth_a_retry, tools::Forms},
    turn::{Collected, Delta, FinishReason, ToolCall, TurnEnd, TurnError},
};

/// Writes one response.
pub struct ResponsesReply {
    head: ResponseHead,
    shows_reasoning: bool,
    forms: Forms,
    sequence: u64,
    begun: bool,
    open: Option<Open>,
    /// The items that are complete.
    output: Vec<Value>,
    /// Where it is kept, if it is, and what is known of it.
    keep: Option<(Arc<Store>, NewResponse)>,
    /// Codex repeats a request on any status but 400 and 404, five times (0.171), but not after a
    /// failed response whose code says that this is useless.
    for_codex: bool,
}

/// The item that grows.
struct Open {
    kind: ItemKind,
    id: String,
    text: String,
    /// Everything of its delta events between the sequence number and the text.
    delta: String,
}

impl ResponsesReply {
    /// `forms` says how the calls of tools that aren't plain functions are written.
    pub fn new(
        head: ResponseHead,
        shows_reasoning: bool,
        forms: Forms,
        keep: Option<(Arc<Store>, NewResponse)>,
        for_codex: bool,
    ) -> Self {
        Self {
            for_codex,
            head,
            shows_reasoning,
            forms,
            sequence: 0,
            begun: false,
            open: None,
            output: Vec::new(),
            keep,
        }
    }

    /// The whole response, with the event that carries it. One that ended well is kept before
    /// anybody can continue it.
    fn finish(mut self, end: &TurnEnd) -> (&'static str, Value) {
        let keep = self.keep.filter(|_| end.outcome.is_ok());
        self.head.stored = keep.is_some_and(|(store, new)| {
            let output = self.output.clone();
            store.put(NewResponse { output, ..new })
        });
        self.head.finished(self.output, end)
    }

    /// Appends an event; `members` are those beside its type and number.
    fn event(&mut self, kind: &str, members: Value, out: &mut Vec<u8>) {
        write_event(kind, self.sequence, members, out);
        self.sequence += 1;
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if !self.begun {
            self.begun = true;
            for kind in ["response.created", "response.in_progress"] {
                let response = self.head.in_progress();
                self.event(kind, json!({ "response": response }), out);
            }
        }
    }

    /// The index of the item that is being written.
    fn index(&self) -> usize {
        self.output.len()
    }

    fn added(&mut self, item: &Value, out: &mut Vec<u8>) {
        let members = json!({"output_index": self.index(), "item": item});
        self.event("response.output_item.added", members, out);
    }

    fn done(&mut self, item: Value, out: &mut Vec<u8>) {
        let members = json!({"output_index": self.index(), "item": item});
        self.event("response.output_item.done", members, out);
        self.output.push(item);
    }

    fn grow(&mut self, kind: ItemKind, text: &str, out: &mut Vec<u8>) {
        self.begin(out);
        if self.open.as_ref().is_none_or(|open| open.kind != kind) {
            self.close("completed", out);
            self.open(kind, out);
        }
        if let Some(open) = &mut self.open {
            open.text.push_str(text);
            let name = kind.names().text;
            let head = format!(
                "event: response.{name}.delta\ndata: {{\"type\":\"response.{name}.delta\",\"sequence_number\":{}{}",
                self.sequence, open.delta
            );
            self.sequence += 1;
            out.extend_from_slice(head.as_bytes());
            write_json_str(text, out);
            out.extend_from_slice(b"}\n\n");
        }
    }

    fn open(&mut self, kind: ItemKind, out: &mut Vec<u8>) {
        let names = kind.names();
        let id = format!("{}_{}_{}", names.prefix, self.head.id, self.index());
        self.added(&kind.item(&id, "", "in_progress"), out);
        let part = kind.part("");
        let members = json!({
            "item_id": id, "output_index": self.index(), names.index: 0, "part": part,
        });
        self.event(&format!("response.{}.added", names.part), members, out);
        let logprobs = match kind {
            ItemKind::Message => r#","logprobs":[]"#,
            ItemKind::Reasoning => "",
        };
        let delta = format!(
            r#","item_id":"{id}","output_index":{},"{}":0{logprobs},"delta":"#,
            self.index(),
            names.index,
        );
        self.open = Some(Open {
            kind,
            id,
            text: String::new(),
            delta,
        });
    }

    fn close(&mut self, status: &str, out: &mut Vec<u8>) {
        let Some(Open { kind, id, text, .. }) = self.open.take() else {
            return;
        };
        let names = kind.names();
        let place = json!({"item_id": id, "output_index": self.index(), names.index: 0});
        let mut members = place.clone();
        members["text"] = text.as_str().into();
        if kind == ItemKind::Message {
            members["logprobs"] = json!([]);
        }
        self.event(&format!("response.{}.done", names.text), members, out);
        let mut members = place;
        members["part"] = kind.part(&text);
        self.event(&format!("response.{}.done", names.part), members, out);
        self.done(kind.item(&id, &text, status), out);
    }

    fn call(&mut self, call: &ToolCall, out: &mut Vec<u8>) {
        self.begin(out);
        self.close("completed", out);
        let call = self.item(call);
        self.added(&call.empty, out);
        let place = json!({"item_id": call.empty["id"], "output_index": self.index()});
        let mut members = place.clone();
        members["delta"] = call.input.as_str().into();
        self.event(&format!("response.{}.delta", call.event), members, out);
        let mut members = place;
        members["name"] = call.empty["name"].clone();
        members[call.member] = call.input.into();
        self.event(&format!("response.{}.done", call.event), members, out);
        self.done(call.full, out);
    }

    fn item(&self, call: &ToolCall) -> CallItem {
        let id = format!("{}_{}", self.head.id, self.index());
        CallItem::new(&id, call, &self.forms)
    }
}

fn write_event(kind: &str, sequence: u64, members: Value, out: &mut Vec<u8>) {
    let mut event = json!({"type": kind, "sequence_number": sequence});
    if let (Some(event), Value::Object(members)) = (event.as_object_mut(), members) {
        event.extend(members);
    }
    frame::event(kind, &event, out);
}

/// What one kind of item is called in its id and events.
struct EventNames {
    prefix: &'static str,
    index: &'static str,
    /// `response.<this>.added` and `.done`.
    part: &'static str,
    /// `response.<this>.delta` and `.done`.
    text: &'static str,
}

impl ItemKind {
    fn names(self) -> EventNames {
        match self {
            Self::Message => EventNames {
                prefix: "msg",
                index: "content_index",
                part: "content_part",
                text: "output_text",
            },
            Self::Reasoning => EventNames {
                prefix: "rs",
                index: "summary_index",
                part: "reasoning_summary_part",
                text: "reasoning_summary_text",
            },
        }
    }

    fn item(self, id: &str, text: &str, status: &str) -> Value {
        match self {
            Self::Message => output::message(id, text, status),
            Self::Reasoning => output::reasoning(id, text),
        }
    }

    fn part(self, text: &str) -> Value {
        match self {
            Self::Message => output::text_part(text),
            Self::Reasoning => output::summary_part(text),
        }
    }
}

/// An item is as complete as the answer that it ends.
fn status(end: &TurnEnd) -> &'static str {
    match end.outcome {
        Ok(FinishReason::Length) | Err(_) => "incomplete",
        Ok(_) => "completed",
    }
}

impl Reply for ResponsesReply {
    /// It is not stored: what it continues is known to the engine alone.
    fn another(&self, stamp: &Stamp) -> Box<dyn Reply> {
        let head = self.head.another(stamp);
        let forms = self.forms.clone();
        Box::new(Self::new(
            head,
            self.shows_reasoning,
            forms,
            None,
            self.for_codex,
        ))
    }

    fn delta(&mut self, delta: &Delta, out: &mut Vec<u8>) {
        match delta {
            Delta::Text(text) => self.grow(ItemKind::Message, text, out),
            Delta::Reasoning(text) if self.shows_reasoning => {
                self.grow(ItemKind::Reasoning, text, out)
            }
            Delta::Reasoning(_) | Delta::Activity(_) => {}
            Delta::ToolCall(call) => self.call(call, out),
        }
    }

    fn end(mut self: Box<Self>, end: &TurnEnd, out: &mut Vec<u8>) {
        self.begin(out);
        self.close(status(end), out);
        let sequence = self.sequence;
        let (kind, response) = self.finish(end);
        write_event(kind, sequence, json!({ "response": response }), out);
    }

    fn whole(mut self: Box<Self>, answer: &Collected, _: &[Collected], end: &TurnEnd) -> Vec<u8> {
        let kinds = [
            (ItemKind::Reasoning, &answer.reasoning, self.shows_reasoning),
            (ItemKind::Message, &answer.text, true),
        ];
        for (kind, text, shown) in kinds {
            if shown && !text.is_empty() {
                let id = format!("{}_{}_{}", kind.names().prefix, self.head.id, self.index());
                self.output.push(kind.item(&id, text, status(end)));
            }
        }
        for call in &answer.tool_calls {
            let item = self.item(call).full;
            self.output.push(item);
        }
        let (_, response) = self.finish(end);
        response.to_string().into_bytes()
    }

    fn streams_failure(&self, error: &TurnError) -> bool {
        self.for_codex && !is_worth_a_retry(error.kind)
    }
}
