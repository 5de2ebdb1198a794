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

fn provider_options(options: &ModelOptions) -> Value {
    let mut value = json!({"baseURL": options.base_url});
    if let Some(key) = &options.api_key {
        value["apiKey"] = json!(key);
    }
    value
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
                    let entry = Value::Object(entry(&member.model.label, family, member));
                    models.insert(id, entry);
                }
            }
        }
        Self {
            provider: options.provider.clone(),
            tree: json!({
                "npm": "@ai-sdk/openai-compatible",
                "name": "Cursor",
                "options": provider_options(options),
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

fn entry(name: &str, family: &Family, member: &Member) -> Map<String, Value> {
    let mut entry = Map::new();
    entry.insert("name".into(), name.into());
    let limits = limits_of(member);
    if family.reasons() {
        entry.insert("reasoning".into(), true.into());
    }
    if limits.images == Some(true) {
        entry.insert("attachment".into(), true.into());
    }
    entry.insert("tool_call".into(), true.into());
    if limits.images == Some(true) {
        let modalities = json!({"input": ["text", "image"], "output": ["text"]});
        entry.insert("modalities".into(), modalities);
    }
    if let Some(context) = limits.context {
        let mut limit = Map::new();
        limit.insert("context".into(), context.into());
        limit.extend(limits.input.map(|input| ("input".to_owned(), input.into())));
        limit.insert("output".into(), limits.output.unwrap_or(0).into());
        entry.insert("limit".into(), limit.into());
    }
    if let Some(price) = price_of(&member.model.id) {
        let mut cost = Map::new();
        cost.insert("input".into(), number(price.input));
        cost.insert("output".into(), number(price.output));
        cost.extend(
            price
                .cache_read
                .map(|p| ("cache_read".to_owned(), number(p))),
        );
        cost.extend(
            price
                .cache_write
                .map(|p| ("cache_write".to_owned(), number(p))),
        );
        entry.insert("cost".into(), cost.into());
    }
    entry
}

fn grouped_entry(family: &Family) -> Value {
    let default = family.default();
    let mut entry = entry(&family.label(), family, default);
    entry.insert("options".into(), json!({"cursorModel": default.model.id}));
    let mut variants: Map<String, Value> = family
        .variants()
        .into_iter()
        .map(|member| {
            (
                member.variant.clone(),
                json!({"cursorModel": member.model.id}),
            )
        })
        .collect();
    if family.reasons() {
        for invented in ["low", "medium", "high"] {
            variants
                .entry(invented)
                .or_insert_with(|| json!({"disabled": true}));
        }
    }
    entry.insert("variants".into(), variants.into());
    entry.into()
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
