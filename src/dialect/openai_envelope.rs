//! What chat completions and completions write around their choices.

use serde_json::{Value, json};

use super::x_cursor;
use crate::turn::Usage;

/// What all objects of one answer repeat.
pub struct Envelope {
    pub id: String,
    pub created: u64,
    pub model: String,
}

impl Envelope {
    /// An object with these choices.
    pub fn object(&self, kind: &str, choices: &Value) -> Value {
        json!({
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "choices": choices,
        })
    }
}

/// Adds what all choices together used, if that is known, and lost.
pub fn add_totals(object: &mut Value, usage: Option<&Usage>, lost_changes: &[String]) {
    if let Some(usage) = usage {
        object["usage"] = usage_object(usage);
    }
    x_cursor::note(object, usage, lost_changes);
}

/// OpenAI counts cache reads and writes as part of the prompt; Cursor counts them beside it.
fn usage_object(usage: &Usage) -> Value {
    let prompt = usage.input + usage.cache_read.unwrap_or(0) + usage.cache_write.unwrap_or(0);
    let mut object = json!({
        "prompt_tokens": prompt,
        "completion_tokens": usage.output,
        "total_tokens": prompt + usage.output,
    });
    if let Some(cached) = usage.cache_read {
        object["prompt_tokens_details"]["cached_tokens"] = cached.into();
    }
    if let Some(written) = usage.cache_write {
        object["prompt_tokens_details"]["cache_write_tokens"] = written.into();
    }
    if let Some(reasoning) = usage.reasoning {
        object["completion_tokens_details"]["reasoning_tokens"] = reasoning.into();
    }
    if let Some(cost) = usage.cost {
        object["cost"] = cost.into();
    }
    object
}
