//! Prices: `data/prices.toml`, in US dollars per million tokens.
//!
//! Rows are facts with a source and a date. A model without a row has no known price; nothing is
//! derived from a neighbour, and a fast variant is priced only by a row of its own.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::{alias, id::ModelId};

/// A list price, in US dollars per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
pub struct Price {
    /// Fresh input.
    pub input: f64,
    /// Output, reasoning included.
    pub output: f64,
    /// Input read from the cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<f64>,
    /// Input written to the cache, where that is charged apart from `input`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<f64>,
    /// The price of long requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub long: Option<LongPrice>,
}

/// The price of a request with more than `over` input tokens, in the units of [`Price`].
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[allow(missing_docs, reason = "the fields are those of Price")]
pub struct LongPrice {
    /// In tokens.
    pub over: u64,
    pub input: f64,
    pub output: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<f64>,
}

impl Price {
    /// What so many tokens cost, in US dollars. Counts are of whole runs, which may have made several
    /// requests, so the price of long ones is left aside.
    #[must_use]
    pub fn cost(&self, input: u64, output: u64, cache_read: u64, cache_write: u64) -> f64 {
        dollars(input, self.input)
            + dollars(output, self.output)
            + dollars(cache_read, self.cache_read.unwrap_or(self.input))
            + dollars(cache_write, self.cache_write.unwrap_or(self.input))
    }

    /// How much more these tokens would have cost if the cache had not had them.
    #[must_use]
    pub fn cache_saving(&self, cache_read: u64) -> f64 {
        dollars(
            cache_read,
            self.input - self.cache_read.unwrap_or(self.input),
        )
    }
}

fn dollars(tokens: u64, per_million: f64) -> f64 {
    tokens as f64 * per_million / 1e6
}

#[derive(Debug, Deserialize)]
struct PriceRow {
    family: String,
    #[serde(default)]
    fast: bool,
    context: Option<String>,
    #[serde(flatten)]
    price: Price,
}

/// A family without a price of its own.
#[derive(Debug, Deserialize)]
struct NoPrice {
    family: String,
}

#[derive(Debug, Default, Deserialize)]
struct PriceTable {
    price: Vec<PriceRow>,
    no_price: Vec<NoPrice>,
}

const DATA: &str = include_str!("data/prices.toml");

static TABLE: LazyLock<PriceTable> = LazyLock::new(|| {
    let mut table: PriceTable = toml::from_str(DATA).unwrap_or_default();
    let families = table.price.iter_mut().map(|row| &mut row.family);
    for family in families.chain(table.no_price.iter_mut().map(|row| &mut row.family)) {
        *family = alias::key(family);
    }
    table
});

/// The list price of an id, if it is known.
#[must_use]
pub fn price_of(id: &str) -> Option<Price> {
    let id = ModelId::parse(id);
    let key = alias::key(&id.family);
    let of = |row: &&PriceRow| {
        row.family == key && row.fast == id.marks.fast && row.context == id.marks.context
    };
    TABLE.price.iter().find(of).map(|row| row.price)
}

/// Whether an id should have a price and none is known.
#[must_use]
pub fn lacks_price(id: &str) -> bool {
    let key = alias::key(&ModelId::parse(id).family);
    price_of(id).is_none() && !TABLE.no_price.iter().any(|row| row.family == key)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_row_is_whole_and_the_only_one_for_its_models() {
        let table: toml::Table = toml::from_str(DATA).unwrap();
        let mut seen = HashSet::new();
        for row in table["price"].as_array().unwrap() {
            let family = row["family"].as_str().unwrap();
            let fast = row.get("fast").and_then(toml::Value::as_bool);
            let context = row.get("context").and_then(toml::Value::as_str);
            let key = alias::key(family);
            assert!(
                seen.insert((key, fast, context)),
                "{family} is priced twice"
            );
            assert!(
                row["source"].as_str().unwrap().starts_with("https://"),
                "{family}"
            );
            assert_eq!(
                row["seen"].as_str().unwrap().len(),
                "2026-01-31".len(),
                "{family}"
            );
            assert_eq!(
                ModelId::parse(family).family,
                family,
                "{family} is no family"
            );
        }
        assert_eq!(TABLE.price.len(), seen.len());
    }

    #[test]
    fn what_tokens_cost() {
        let price = Price {
            input: 5.0,
            output: 25.0,
            cache_read: Some(0.5),
            cache_write: None,
            long: None,
        };
        let million = 1_000_000;
        assert!((price.cost(million, million, million, million) - 35.5).abs() < 1e-9);
        assert!((price.cache_saving(2 * million) - 9.0).abs() < 1e-9);
        let plain = Price {
            cache_read: None,
            ..price
        };
        assert!(plain.cache_saving(million).abs() < 1e-9);
    }

    #[test]
    fn prices() {
        let input = |id: &str| price_of(id).map(|price| price.input);
        assert_eq!(input("claude-opus-5-thinking-high"), Some(5.0));
        assert_eq!(input("claude-opus-5-thinking-high-fast"), None);
        assert_eq!(input("composer-2.5"), Some(0.5));
        assert_eq!(input("composer-2.5-fast"), Some(3.0));
        assert_eq!(input("claude-4.5-opus-high"), Some(5.0));
        assert_eq!(input("opus-4.5"), Some(5.0));
        assert_eq!(input("claude-4-sonnet"), Some(3.0));
        assert_eq!(input("claude-4-sonnet-1m"), Some(6.0));
        // Billed as whatever model it routes to.
        assert_eq!(input("auto"), None);
        assert!(!lacks_price("auto"));
        assert_eq!(input("gpt-9"), None);
        assert!(lacks_price("gpt-9"));
        assert!(lacks_price("claude-opus-5-high-fast"));
        let long = price_of("gpt-5.5-high").unwrap().long.unwrap();
        assert_eq!((long.over, long.output), (272_000, 45.0));
    }
}
