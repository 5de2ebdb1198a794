//! Chunks and whole answers of a completion. Reasoning has no place in them.

use serde_json::{Value, json};

use crate::{
    dialect::{
        Reply, Stamp, frame, openai_error::error_object, openai_usage::usage_object, x_cursor,
    },
    turn::{Collected, Delta, FinishReason, TurnEnd},
};

/// Writes one completion.
pub struct CompletionReply {
    id: String,
    created: u64,
    model: String,
    include_usage: bool,
    /// The choice that is being written.
    current: usize,
}

impl CompletionReply {
    /// A reply to a request for `model`.
    pub fn new(stamp: &Stamp, model: &str, include_usage: bool) -> Self {
        Self {
            id: format!("cmpl-{}", stamp.id),
            created: stamp.created,
            model: model.to_owned(),
            include_usage,
            current: 0,
        }
    }

    fn object(&self, choices: &[Value]) -> Value {
        json!({
            "id": self.id,
            "object": "text_completion",
            "created": self.created,
            "model": self.model,
            "choices": choices,
        })
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
        Box::new(Self::new(stamp, &self.model, self.include_usage))
    }

    fn choose(&mut self, choice: usize) {
        self.current = choice;
    }

    fn delta(&mut self, delta: &Delta, out: &mut Vec<u8>) {
        if let Delta::Text(text) = delta {
            frame::data(&self.object(&[choice(self.current, text, None)]), out);
        }
    }

    fn end_choice(&mut self, reason: &FinishReason, out: &mut Vec<u8>) {
        frame::data(&self.object(&[choice(self.current, "", Some(reason))]), out);
    }

    fn end(self: Box<Self>, end: &TurnEnd, out: &mut Vec<u8>) {
        match &end.outcome {
            Ok(reason) => {
                let mut chunk = self.object(&[choice(self.current, "", Some(reason))]);
                x_cursor::note(&mut chunk, None, &end.lost_changes);
                frame::data(&chunk, out);
                if let Some(usage) = end.usage.filter(|_| self.include_usage) {
                    let mut chunk = self.object(&[]);
                    chunk["usage"] = usage_object(&usage);
                    x_cursor::note(&mut chunk, Some(&usage), &[]);
                    frame::data(&chunk, out);
                }
            }
            Err(error) => frame::data(&error_object(error), out),
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn whole(self: Box<Self>, answer: &Collected, others: &[Collected]) -> Vec<u8> {
        let answers: Vec<&Collected> = std::iter::once(answer).chain(others).collect();
        let choices: Vec<Value> = answers
            .iter()
            .enumerate()
            .map(|(index, answer)| choice(index, &answer.text, Some(&answer.finish_reason)))
            .collect();
        let mut body = self.object(&choices);
        let usage = Collected::usage_of(&answers);
        if let Some(usage) = &usage {
            body["usage"] = usage_object(usage);
        }
        x_cursor::note(
            &mut body,
            usage.as_ref(),
            &Collected::lost_changes_of(&answers),
        );
        body.to_string().into_bytes()
    }
}
