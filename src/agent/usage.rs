//! Token counts as Cursor writes them.

use serde_json::{Map, Value};

use crate::turn::Usage;

/// The counts among these fields, under the names of any version. `None` if there are none.
pub(super) fn of(fields: &Map<String, Value>) -> Option<Usage> {
    let number = |names: &[&str]| {
        let found = names.iter().find_map(|name| fields.get(*name))?;
        let number = match found {
            Value::String(digits) => digits.parse().ok()?, // protobuf's 64-bit integers
            other => other.as_f64()?,
        };
        (number.is_finite() && number >= 0.0).then_some(number)
    };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let count = |names: &[&str]| number(names).map(|number| number as u64);
    let input = count(&["inputTokens", "input_tokens"]);
    let output = count(&["outputTokens", "output_tokens"]);
    let cache_read = count(&["cacheReadTokens", "cache_read_tokens"]);
    let cache_write = count(&["cacheWriteTokens", "cache_write_tokens"]);
    input.or(output).or(cache_read).or(cache_write)?;
    Some(Usage {
        input: input.unwrap_or_default(),
        output: output.unwrap_or_default(),
        cache_read,
        cache_write,
        reasoning: count(&["reasoningTokens", "reasoning_tokens"]),
        cost: number(&["cost", "totalCost", "total_cost"]),
        estimated: false,
    })
}
