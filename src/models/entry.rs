//! A model as `/v1/models` shows it.

use serde::Serialize;

use super::{
    family::{Family, Member, group},
    limits::limits_of,
    list::ListedModel,
    pricing::{Price, price_of},
};

/// A model with everything known about it. Unknown fields are left out of the JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    /// The id that requests name.
    pub id: String,
    /// Always `model`, as OpenAI's list has it.
    pub object: &'static str,
    /// Always 0: Cursor publishes no dates, and clients only require a number.
    pub created: u64,
    /// Always `cursor`.
    pub owned_by: &'static str,
    /// The display name.
    pub name: String,
    /// The family it belongs to.
    pub family: String,
    /// Its variant within the family.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The context window in tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_length: Option<u64>,
    /// The most output tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u64>,
    /// What it can do.
    pub capabilities: Capabilities,
    /// US dollars per million tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pricing: Option<Price>,
}

/// What a model can do through this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Capabilities {
    /// Calls tools: every model does, since the server translates its calls.
    pub tool_call: bool,
    /// Reasons: an id of its family states an effort or thinking.
    pub reasoning: bool,
    /// Reads images, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attachment: Option<bool>,
}

impl Entry {
    /// A model that is not on the list, known by its name only.
    #[must_use]
    pub fn unlisted(id: &str) -> Self {
        let model = ListedModel {
            id: id.to_owned(),
            label: id.to_owned(),
        };
        let family = &group(&[model])[0];
        Self::new(family, family.default())
    }

    pub(super) fn new(family: &Family, member: &Member) -> Self {
        let limits = limits_of(member);
        Self {
            id: member.model.id.clone(),
            object: "model",
            created: 0,
            owned_by: "cursor",
            name: member.model.label.clone(),
            family: family.name.clone(),
            variant: Some(member.variant.clone()).filter(|variant| !variant.is_empty()),
            context_length: limits.context,
            max_output_tokens: limits.output,
            capabilities: Capabilities {
                tool_call: true,
                reasoning: family.reasons(),
                attachment: limits.images,
            },
            pricing: price_of(&member.model.id),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::models::{Listing, parse};
    use serde_json::json;

    #[test]
    fn known_facts_are_shown_and_unknown_ones_are_not() {
        let list = "auto - Auto\nclaude-opus-5-thinking-high - Claude Opus 5 1M Thinking\n";
        let listing = Listing::live(&parse(list).unwrap());
        let shown: Vec<_> = listing.entries().map(|entry| json!(entry)).collect();
        assert_eq!(
            json!(shown),
            json!([
                {
                    "id": "auto", "object": "model", "created": 0, "owned_by": "cursor",
                    "name": "Auto", "family": "auto",
                    "capabilities": {"tool_call": true, "reasoning": false},
                },
                {
                    "id": "claude-opus-5-thinking-high", "object": "model", "created": 0,
                    "owned_by": "cursor", "name": "Claude Opus 5 1M Thinking",
                    "family": "claude-opus-5", "variant": "thinking-high",
                    "context_length": 1_000_000, "max_output_tokens": 128_000,
                    "capabilities": {"tool_call": true, "reasoning": true, "attachment": true},
                    "pricing": {"input": 5.0, "output": 25.0, "cache_read": 0.5, "cache_write": 6.25},
                },
            ])
        );
    }
}
