//! The provider as we want it in OpenCode's configuration (format of opencode-ai 1.18.33).
//!
//! ```json
//! "gpt-5.5": {
//!   "name": "GPT-5.5", "reasoning": true, "attachment": true, "tool_call": true,
//!   "modalities": {"input": ["text", "image"], "output": ["text"]},
//!   "limit": {"context": 1000000, "output": 128000},
//!   "cost": {"input": 5, "output": 30, "cache_read": 0.5},
//!   "options": {"cursorModel": "gpt-5.5-medium"},
//!   "variants": {"high": {"cursorModel": "gpt-5.5-high"}, "low": {"disabled": true}}
//! }
//! ```
//!
//! `options` and the chosen variant go into the request's body as they are, so `cursorModel` names
//! the id to run. OpenCode invents the variants low, medium and high for every reasoning model;
//! those that a family lacks would change nothing and are disabled. `limit` needs both numbers, of
//! which 0 means unknown; `cost` needs input and output.

use serde_json::{Map, Value, json};

use crate::models::{Family, Listing, ListingOrigin, Member, limits_of, price_of};

/// How the account's models are grouped into entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// One entry per model.
    #[default]
    Plain,
    /// Also one per family, with its members as variants.
    Variants,
    /// The same without the members' own entries.
    Compact,
}

impl Layout {
    /// Whether families have entries.
    #[must_use]
    pub fn has_variants(self) -> bool {
        self != Self::Plain
    }
}

/// How to present the models.
#[derive(Debug, Clone)]
pub struct ModelOptions {
    /// The provider's id in the configuration.
    pub provider: String,
    /// The server's base URL, with `/v1`.
    pub base_url: String,
    /// The API key, as OpenCode reads it: `{file:PATH}` for one in a file.
    pub api_key: Option<String>,
    /// The grouping.
    pub shape: Layout,
}

/// The wanted content of `provider.<id>`.
#[derive(Debug, Clone)]
pub struct DesiredProvider {
    /// The provider's id.
    pub provider: String,
    pub(super) tree: Value,
    /// Ids without an entry of their own, because their family has one.
    pub(super) folded: Vec<String>,
    /// Whether models that are not wanted may be removed: the list is the account's own of now.
    pub(super) complete: bool,
}

impl DesiredProvider {
    /// The provider for a list of models.
    #[must_use]
    pub fn new(listing: &Listing, options: &ModelOptions) -> Self {
        let mut models = Map::new();
        let mut folded = Vec::new();
        for family in &listing.families {
            let grouped = options.shape.has_variants() && family.has_variants();
            if grouped {
                models.insert(family.name.clone(), grouped_entry(family));
            }
            for member in family
                .members
                .iter()
                .filter(|m| !grouped || !m.variant.is_empty())
            {
                let id = member.model.id.clone();
                if grouped && options.shape == Layout::Compact {
                    folded.push(id);
                } else {
                    models.insert(id, entry(&member.model.label, family, member));
                }
            }
        }
        Self {
            provider: options.provider.clone(),
            tree: json!({
                "npm": "@ai-sdk/openai-compatible",
                "name": "Cursor",
                "options": known(json!({"baseURL": options.base_url, "apiKey": options.api_key})),
                "models": models,
            }),
            folded,
            complete: listing.origin == ListingOrigin::Live,
        }
    }

    /// The wanted models by key.
    #[must_use]
    pub fn models(&self) -> Option<&Map<String, Value>> {
        self.tree["models"].as_object()
    }
}

fn entry(name: &str, family: &Family, member: &Member) -> Value {
    let limits = limits_of(member);
    let has_images = limits.images == Some(true);
    let modalities = json!({"input": ["text", "image"], "output": ["text"]});
    let limit = limits.context.map(|context| {
        let output = limits.output.unwrap_or(0);
        known(json!({"context": context, "input": limits.input, "output": output}))
    });
    let cost = price_of(&member.model.id).map(|price| {
        known(json!({
            "input": number(price.input),
            "output": number(price.output),
            "cache_read": price.cache_read.map(number),
            "cache_write": price.cache_write.map(number),
        }))
    });
    known(json!({
        "name": name,
        "reasoning": family.reasons().then_some(true),
        "attachment": has_images.then_some(true),
        "tool_call": true,
        "modalities": has_images.then_some(modalities),
        "limit": limit,
        "cost": cost,
    }))
}

/// An object without its values that are null.
fn known(mut object: Value) -> Value {
    if let Some(fields) = object.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    object
}

fn grouped_entry(family: &Family) -> Value {
    let target = |member: &Member| json!({"cursorModel": member.model.id});
    let default = family.default();
    let mut entry = entry(&family.label(), family, default);
    entry["options"] = target(default);
    let variants = family.variants().into_iter();
    let mut variants: Map<String, Value> = variants
        .map(|member| (member.variant.clone(), target(member)))
        .collect();
    if family.reasons() {
        for invented in ["low", "medium", "high"] {
            variants
                .entry(invented)
                .or_insert_with(|| json!({"disabled": true}));
        }
    }
    entry["variants"] = variants.into();
    entry
}

/// 5 instead of 5.0.
fn number(value: f64) -> Value {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked"
    )]
    if value >= 0.0 && value.fract() == 0.0 && value < 1e15 {
        return (value as u64).into();
    }
    value.into()
}
