//! The stage between boundary and dialect: gives the answer's text the [form](Shape) that the
//! client asked for.
//!
//! Pure, and the same for every dialect. Only text is touched: reasoning and tool calls pass.

mod cut;

use cut::Cut;

use crate::turn::{Delta, FinishReason, Shape, TurnEvent};

/// The state of one answer.
pub(super) struct Shaper {
    cut: Cut,
}

impl Shaper {
    pub fn new(shape: &Shape) -> Self {
        Self {
            cut: Cut::new(shape),
        }
    }

    /// Takes a delta and appends what of it may be shown. `Some` if the answer ends with that.
    pub fn delta(&mut self, delta: Delta, out: &mut Vec<TurnEvent>) -> Option<FinishReason> {
        let Delta::Text(text) = delta else {
            // What comes after the text shows that no stop sequence went on.
            let reason = self.flush(out);
            if reason.is_none() {
                out.push(TurnEvent::Delta(delta));
            }
            return reason;
        };
        let (text, reason) = self.cut.text(text);
        push(text, out);
        reason
    }

    /// Appends what was held back, since no text follows. `Some` if the answer ends with that.
    pub fn flush(&mut self, out: &mut Vec<TurnEvent>) -> Option<FinishReason> {
        let (text, reason) = self.cut.rest();
        push(text, out);
        reason
    }
}

fn push(text: String, out: &mut Vec<TurnEvent>) {
    if !text.is_empty() {
        out.push(TurnEvent::Delta(Delta::Text(text)));
    }
}
