//! What a turn produces.

use super::{ToolCall, TurnError};

/// One step of an answer. A turn's stream is any number of deltas and then exactly one end. Small, as
/// there are many: what is rare and large is on the heap.
#[derive(Debug, Clone, PartialEq)]
pub enum TurnEvent {
    /// Something to show or to execute.
    Delta(Delta),
    /// The last event.
    End(Box<TurnEnd>),
}

/// A piece of the answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Delta {
    /// New answer text, never a repetition.
    Text(String),
    /// New reasoning text.
    Reasoning(String),
    /// A whole tool call for the client to execute.
    ToolCall(Box<ToolCall>),
    /// A tool ran on the agent's side. Nothing to show, unless the client asked for it.
    Activity(Box<Activity>),
}

/// A tool that the agent ran itself, without what it was about: contents are the user's business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    /// The agent's name for the tool, such as `read`.
    pub tool: String,
    /// How it went, in the agent's word: `success`, `error`, `rejected`, ...
    pub outcome: String,
}

/// How a turn ended.
#[derive(Debug, Clone, PartialEq)]
pub struct TurnEnd {
    /// Why the answer is complete, or why there is none.
    pub outcome: Result<FinishReason, TurnError>,
    /// What the turn cost; `None` if the agent did not say, which is never the same as zero.
    pub usage: Option<Usage>,
    /// The files that the agent changed and no tool call could carry to the client: these changes
    /// are lost.
    pub lost_changes: Vec<String>,
}

impl TurnEnd {
    /// A complete answer.
    #[must_use]
    pub fn finished(reason: FinishReason, usage: Option<Usage>) -> Self {
        Self {
            outcome: Ok(reason),
            usage,
            lost_changes: Vec::new(),
        }
    }

    /// A failed turn.
    #[must_use]
    pub fn failed(error: TurnError) -> Self {
        Self {
            outcome: Err(error),
            usage: None,
            lost_changes: Vec::new(),
        }
    }
}

/// Why the answer ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum FinishReason {
    /// The model said all it wanted to say.
    #[default]
    Stop,
    /// It waits for the client to execute tools.
    ToolCalls,
    /// Its text was as long as the client allows.
    Length,
    /// This one of the client's stop sequences was next.
    StopSequence(String),
}

/// Token counts of one agent run, as Cursor reports them unless they are an estimate.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// Fresh input tokens, cache reads excluded.
    pub input: u64,
    /// Output tokens, reasoning included.
    pub output: u64,
    /// Input tokens read from the provider's cache.
    pub cache_read: Option<u64>,
    /// Input tokens written to the provider's cache.
    pub cache_write: Option<u64>,
    /// The part of `output` spent on reasoning.
    pub reasoning: Option<u64>,
    /// What the run cost in US dollars.
    pub cost: Option<f64>,
    /// Whether some of it is our estimate: the agent was stopped before it said.
    pub estimated: bool,
}

/// What is unknown of one run is as if it were nothing, as long as it is known of the other.
impl std::ops::Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let either = |one: Option<u64>, other: Option<u64>| {
            one.map_or(other, |one| Some(one.saturating_add(other.unwrap_or(0))))
        };
        Self {
            input: self.input.saturating_add(other.input),
            output: self.output.saturating_add(other.output),
            cache_read: either(self.cache_read, other.cache_read),
            cache_write: either(self.cache_write, other.cache_write),
            reasoning: either(self.reasoning, other.reasoning),
            cost: self
                .cost
                .map_or(other.cost, |one| Some(one + other.cost.unwrap_or(0.0))),
            estimated: self.estimated || other.estimated,
        }
    }
}
