//! Chunks and whole answers of a completion. Reasoning has no place in them.

use serde_json::{Value, json};

use crate::{
    dialect::{
        Reply, Stamp, frame,
        openai_envelope::{Envelope, add_totals},
        openai_error::error_object,
        x_cursor,
    },
    turn::{Collected, Delta, FinishReason, TurnEnd},
};

/// Writes one completion.
pub struct CompletionReply {
    envelope: Envelope,
    include_usage: bool,
    /// The choice that is being written.
    current: usize,
}

impl CompletionReply {
    /// A reply to a request for `model`.
    pub fn new(stamp: &Stamp, model: &str, include_usage: bool) -> Self {
        Self {
            envelope: Envelope {
                id: format!("cmpl-{}", stamp.id),
                created: stamp.created,
                model: model.to_owned(),
            },
            include_usage,
            current: 0,
        }
    }

    fn object(&self, choices: &Value) -> Value {
        self.envelope.object("text_completion", choices)
    }

    /// A chunk of the current choice.
    fn chunk(&self, text: &str, reason: Option<&FinishReason>) -> Value {
        self.object(&json!([choice(self.current, text, reason)]))
    }
}

fn choice(index: usize, text: &str, reason: Option<&FinishReason>) -> Value {
    let reason = reason.map(|reason| match reason {
        FinishReason::Length => "length",
        FinishReason::Stop | FinishReason::StopSequence(_) | FinishReason::ToolCalls => "stop",
    });
    json!({"index": index, "text": text, "logprobs": null, "finish_reason": reason})
}

impl Reply for CompletionReply {
    fn another(&self, stamp: &Stamp) -> Box<dyn Reply> {
        Box::new(Self::new(stamp, &self.envelope.model, self.include_usage))
    }

    fn choose(&mut self, choice: usize) {
        self.current = choice;
    }

    fn delta(&mut self, delta: &Delta, out: &mut Vec<u8>) {
        if let Delta::Text(text) = delta {
            frame::data(&self.chunk(text, None), out);
        }
    }

    fn end_choice(&mut self, reason: &FinishReason, out: &mut Vec<u8>) {
        frame::data(&self.chunk("", Some(reason)), out);
    }

    fn end(self: Box<Self>, end: &TurnEnd, out: &mut Vec<u8>) {
        match &end.outcome {
            Ok(reason) => {
                let mut chunk = self.chunk("", Some(reason));
                x_cursor::note(&mut chunk, None, &end.lost_changes);
                frame::data(&chunk, out);
                if let Some(usage) = end.usage.filter(|_| self.include_usage) {
                    let mut chunk = self.object(&json!([]));
                    add_totals(&mut chunk, Some(&usage), &[]);
                    frame::data(&chunk, out);
                }
            }
            Err(error) => frame::data(&error_object(error), out),
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn whole(self: Box<Self>, answer: &Collected, others: &[Collected], end: &TurnEnd) -> Vec<u8> {
        let answers = std::iter::once(answer).chain(others).enumerate();
        let choices = answers.map(|(index, it)| choice(index, &it.text, Some(&it.finish_reason)));
        let mut body = self.object(&choices.collect());
        add_totals(&mut body, end.usage.as_ref(), &end.lost_changes);
        body.to_string().into_bytes()
    }
}
