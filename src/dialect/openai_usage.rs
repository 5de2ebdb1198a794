//! Usage as chat completions and completions write it.

use serde_json::{Value, json};

use crate::turn::Usage;

/// OpenAI counts cache reads and writes as part of the prompt; Cursor counts them beside it.
pub fn usage_object(usage: &Usage) -> Value {
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
