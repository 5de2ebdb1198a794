//! A turn's deltas collected into one answer, for requests that don't stream.

use super::{Activity, Delta, FinishReason, ToolCall, Usage};

/// A complete answer.
#[derive(Debug, Clone, PartialEq)]
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
    /// What the turn cost, if the agent said so.
    pub usage: Option<Usage>,
    /// As in [`TurnEnd::lost_changes`](super::TurnEnd::lost_changes).
    pub lost_changes: Vec<String>,
}

impl Collected {
    /// An answer without content yet.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            text: String::new(),
            reasoning: String::new(),
            tool_calls: Vec::new(),
            activity: Vec::new(),
            finish_reason: FinishReason::Stop,
            usage: None,
            lost_changes: Vec::new(),
        }
    }

    /// What several answers cost together; `None` if nothing is known of any.
    pub fn usage_of(answers: &[&Self]) -> Option<Usage> {
        let known = answers.iter().filter_map(|answer| answer.usage);
        known.reduce(|sum, usage| sum + usage)
    }

    /// The files whose changes several answers lost, in order.
    pub fn lost_changes_of(answers: &[&Self]) -> Vec<String> {
        let lost = answers.iter().flat_map(|answer| &answer.lost_changes);
        lost.cloned().collect()
    }

    /// Adds one delta.
    pub fn push(&mut self, delta: Delta) {
        match delta {
            Delta::Text(text) => self.text.push_str(&text),
            Delta::Reasoning(text) => self.reasoning.push_str(&text),
            Delta::ToolCall(call) => self.tool_calls.push(call),
            Delta::Activity(activity) => self.activity.push(activity),
        }
    }
}
