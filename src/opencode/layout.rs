//! How the models are presented at present, so that it stays so where nothing else is asked for.
//!
//! By what we wrote, where there is a record of it: variants of the user's own say nothing. Else by
//! the configuration itself, as the TypeScript system or an earlier home may have left it.

use serde_json::Value;

use super::commit::{Target, follow};
use super::desired::Layout;
use super::error::ConfigError;
use super::inspect::{inspect, targets_of_variants};
use super::record::Record;

/// The shape of a provider's models; of one that is not there, the plain one. Blocking.
///
/// # Errors
/// When the configuration cannot be read or understood.
pub fn shape(target: &Target, provider: &str) -> Result<Layout, ConfigError> {
    let config = follow(&target.config).map_err(ConfigError::io(&target.config))?;
    let there = inspect(&config, provider)?.entry;
    let ours = Record::read(&target.state_dir).of(&config, provider).pop();
    // A record of what has been removed by hand is none.
    let entry = there.map(|there| ours.unwrap_or(there));
    Ok(entry.as_ref().map(of).unwrap_or_default())
}

fn of(entry: &Value) -> Layout {
    let models = &entry["models"];
    let entries = models.as_object().into_iter().flatten();
    let targets: Vec<&str> = entries
        .flat_map(|(_, model)| targets_of_variants(model))
        .collect();
    // Some may have an entry all the same, as the configuration uses it.
    let listed = targets.iter().filter(|id| models.get(id).is_some()).count();
    match targets.len() {
        0 => Layout::Plain,
        all if listed * 2 < all => Layout::Compact,
        _ => Layout::Variants,
    }
}
