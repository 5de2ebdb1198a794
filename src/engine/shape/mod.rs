//! The stage between boundary and dialect: gives the answer's text the [form](Shape) that the
//! client asked for.
//!
//! Pure, and the same for every dialect. Only text is touched: reasoning and tool calls pass. Text
//! that must be JSON is held back until it is whole. If it is none, the model is told so and asked
//! once more; what a tool call stands beside may be any text.

mod cut;
mod json;

use cut::Cut;
use json::Check;

use crate::turn::{
    Delta, ErrorKind, FinishReason, Message, Role, Shape, TurnEnd, TurnError, TurnEvent, Usage,
};

/// The state of one answer, which may take two runs.
pub(super) struct Shaper {
    cut: Cut,
    json: Option<Json>,
}

/// A text that must be JSON.
struct Json {
    check: Check,
    held: String,
    /// What an earlier run cost that did not give any.
    earlier: Option<Option<Usage>>,
}

/// What follows the end of a run.
#[derive(Debug, PartialEq)]
pub(super) enum Next {
    /// The answer ends.
    End(TurnEnd),
    /// The model is to try again, with these messages added to the conversation.
    Again([Message; 2]),
}

impl Shaper {
    /// # Errors
    /// A schema that is none.
    pub fn new(shape: &Shape) -> Result<Self, TurnError> {
        let check = Check::new(&shape.format).map_err(|error| {
            let message = format!("the answer's schema is no valid JSON Schema: {error}");
            TurnError::new(ErrorKind::InvalidRequest, message)
        })?;
        Ok(Self {
            cut: Cut::new(shape),
            json: check.map(|check| Json {
                check,
                held: String::new(),
                earlier: None,
            }),
        })
    }

    /// Whether the answer can take another run.
    pub fn may_repeat(&self) -> bool {
        self.json
            .as_ref()
            .is_some_and(|json| json.earlier.is_none())
    }

    /// Takes a delta and appends what of it may be shown. `Some` if the answer ends with that.
    pub fn delta(&mut self, delta: Delta, out: &mut Vec<TurnEvent>) -> Option<FinishReason> {
        let Delta::Text(text) = delta else {
            // What comes after the text shows that no stop sequence went on.
            let reason = self.flush(out);
            if reason.is_none() {
                if matches!(delta, Delta::ToolCall(_)) {
                    self.release(out);
                }
                out.push(TurnEvent::Delta(delta));
            }
            return reason;
        };
        let (text, reason) = self.cut.text(text);
        self.show(text, out);
        reason
    }

    /// The run ended so: appends what was held back, and says what comes next.
    pub fn end(&mut self, mut end: TurnEnd, out: &mut Vec<TurnEvent>) -> Next {
        if let Some(reason) = self.flush(out) {
            end.outcome = end.outcome.map(|_| reason);
        }
        let is_whole = end.outcome == Ok(FinishReason::Stop);
        if !is_whole {
            self.release(out);
        }
        let Some(json) = &mut self.json else {
            return Next::End(end);
        };
        let usage = end.usage;
        end.usage = match (json.earlier.flatten(), usage) {
            (Some(earlier), Some(usage)) => Some(earlier + usage),
            (earlier, usage) => usage.or(earlier),
        };
        if !is_whole {
            return Next::End(end);
        }
        let held = std::mem::take(&mut json.held);
        match json.check.json(&held) {
            Ok(json) => push(json.to_owned(), out),
            Err(fault) if json.earlier.is_none() => {
                json.earlier = Some(usage);
                return Next::Again(complaint(held, &fault));
            }
            Err(fault) => end.outcome = Err(bad_answer(&held, &fault)),
        }
        Next::End(end)
    }

    fn flush(&mut self, out: &mut Vec<TurnEvent>) -> Option<FinishReason> {
        let (text, reason) = self.cut.rest();
        self.show(text, out);
        reason
    }

    fn show(&mut self, text: String, out: &mut Vec<TurnEvent>) {
        match &mut self.json {
            Some(json) => json.held.push_str(&text),
            None => push(text, out),
        }
    }

    /// Shows what was held back, whatever it is.
    fn release(&mut self, out: &mut Vec<TurnEvent>) {
        if let Some(json) = &mut self.json {
            push(std::mem::take(&mut json.held), out);
        }
    }
}

fn push(text: String, out: &mut Vec<TurnEvent>) {
    if !text.is_empty() {
        out.push(TurnEvent::Delta(Delta::Text(text)));
    }
}

fn complaint(answer: String, fault: &str) -> [Message; 2] {
    let request = format!(
        "That answer can't be used: {fault}. Give the whole answer again, as JSON and nothing else."
    );
    [
        Message::text(Role::Assistant, answer),
        Message::text(Role::User, request),
    ]
}

fn bad_answer(text: &str, fault: &str) -> TurnError {
    TurnError::new(
        ErrorKind::BadAnswer,
        format!(
            "twice the model did not answer in the format that was asked for; {fault}. Its answer: {text}"
        ),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
