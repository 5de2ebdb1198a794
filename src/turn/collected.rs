//! A turn's deltas collected into one answer, for requests that don't stream.

use super::{Activity, Delta, FinishReason, ToolCall};

/// What one answer says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Collected {
    /// All answer text.
    pub text: String,
    /// All reasoning text.
    pub reasoning: String,
    /// The tool calls, in order.
    pub tool_calls: Vec<ToolCall>,
    /// The tools that ran on the agent's side, in order.
    pub activity: Vec<Activity>,
    /// Why the model stopped.
    pub finish_reason: FinishReason,
}

impl Collected {
    /// Adds one delta.
    pub fn push(&mut self, delta: Delta) {
        match delta {
            Delta::Text(text) => self.text.push_str(&text),
            Delta::Reasoning(text) => self.reasoning.push_str(&text),
            Delta::ToolCall(call) => self.tool_calls.push(*call),
            Delta::Activity(activity) => self.activity.push(*activity),
        }
    }
}
