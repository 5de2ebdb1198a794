//! Context window, output limit and image input: from the label and `data/limits.toml`.
//!
//! Rows have a source and a date; a model without a row is unknown.

use std::sync::LazyLock;

use serde::Deserialize;

use super::{alias, family::Member, id::ModelId};

/// What is known of a model's limits, in tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub struct ModelLimits {
    /// The context window: input and output together.
    pub context: Option<u64>,
    /// The most input, where that is less than the window leaves.
    pub input: Option<u64>,
    /// The most output.
    pub output: Option<u64>,
    /// Whether it reads images.
    pub images: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct LimitRow {
    family: String,
    #[serde(flatten)]
    limits: ModelLimits,
}

#[derive(Debug, Deserialize)]
struct LimitTable {
    limit: Vec<LimitRow>,
}

const DATA: &str = include_str!("data/limits.toml");

static ROWS: LazyLock<Vec<(String, ModelLimits)>> = LazyLock::new(|| {
    let table: Option<LimitTable> = toml::from_str(DATA).ok();
    let rows = table.map(|table| table.limit).unwrap_or_default();
    rows.into_iter()
        .map(|row| (alias::key(&row.family), row.limits))
        .collect()
});

/// The known limits of a listed model.
#[must_use]
pub fn limits_of(member: &Member) -> ModelLimits {
    let key = alias::key(&ModelId::parse(&member.model.id).family);
    let row = ROWS.iter().find(|(row_key, _)| *row_key == key);
    let known = row.map(|(_, limits)| *limits).unwrap_or_default();
    match member.stated_context() {
        Some(context) => ModelLimits {
            context: Some(context),
            input: None,
            ..known
        },
        None => known,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::models::{family::group, list::parse};
    use std::collections::HashSet;

    fn of(line: &str) -> ModelLimits {
        limits_of(&group(&parse(line).unwrap())[0].members[0])
    }

    #[test]
    fn every_row_is_whole_and_the_only_one_for_its_family() {
        let table: toml::Table = toml::from_str(DATA).unwrap();
        let mut seen = HashSet::new();
        for row in table["limit"].as_array().unwrap() {
            let family = row["family"].as_str().unwrap();
            assert!(seen.insert(alias::key(family)), "{family} has two rows");
            assert!(
                row["source"].as_str().unwrap().starts_with("https://"),
                "{family}"
            );
            assert_eq!(
                row["seen"].as_str().unwrap().len(),
                "2026-01-31".len(),
                "{family}"
            );
        }
        assert_eq!(ROWS.len(), seen.len());
    }

    #[test]
    fn the_label_wins() {
        let opus = of("claude-opus-5-high - Claude Opus 5 1M");
        assert_eq!(
            (opus.context, opus.output),
            (Some(1_000_000), Some(128_000))
        );
        let old = of("claude-4.5-opus-high - Claude Opus 4.5");
        assert_eq!(
            (old.context, old.output, old.images),
            (Some(200_000), Some(64_000), Some(true))
        );
        let fast = of("gpt-5.6-sol-high-fast - GPT-5.6 Sol High Fast");
        assert_eq!((fast.context, fast.output), (None, Some(128_000)));
        assert_eq!(of("auto - Auto"), ModelLimits::default());
    }
}
