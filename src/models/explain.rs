//! The data of `open-cursor models --explain`: families, variants, prices.

use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    family::{Family, Member},
    limits::limits_of,
    pricing::{Price, price_of},
};

/// All families of a list, in its order.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// How many models there are.
    pub model_count: usize,
    /// How many of them carry a variant of a family.
    pub grouped_count: usize,
    /// The families.
    pub groups: Vec<ExplainedFamily>,
}

/// A family.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedFamily {
    /// The name that requests may use.
    pub id: String,
    /// Its display name.
    pub name: String,
    /// The id that the bare name means.
    pub default_cursor_model: String,
    /// Variant to id, mildest first; the bare id has no variant.
    pub variants: Map<String, Value>,
    /// The members.
    pub members: Vec<ExplainedModel>,
}

/// A member of a family.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedModel {
    /// The id.
    pub id: String,
    /// The CLI's label.
    pub name: String,
    /// The context window in tokens, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<u64>,
    /// The most output tokens, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<u64>,
    /// The list price, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
}

/// Explains a grouped list.
#[must_use]
pub fn explain(families: &[Family]) -> Explanation {
    let members = || families.iter().flat_map(|family| &family.members);
    Explanation {
        model_count: members().count(),
        grouped_count: members()
            .filter(|member| !member.variant.is_empty())
            .count(),
        groups: families.iter().map(family).collect(),
    }
}

fn family(family: &Family) -> ExplainedFamily {
    let variants = family.variants().into_iter();
    ExplainedFamily {
        id: family.name.clone(),
        name: family.label(),
        default_cursor_model: family.default().model.id.clone(),
        variants: variants
            .map(|member| (member.variant.clone(), member.model.id.clone().into()))
            .collect(),
        members: family.members.iter().map(model).collect(),
    }
}

fn model(member: &Member) -> ExplainedModel {
    let limits = limits_of(member);
    ExplainedModel {
        id: member.model.id.clone(),
        name: member.model.label.clone(),
        context: limits.context,
        output: limits.output,
        price: price_of(&member.model.id),
    }
}
