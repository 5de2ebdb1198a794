//! The current grouping of the models in a configuration.
//!
//! Taken from our record, if there is one, since the user may have variants of their own; else from the
//! configuration, which the TypeScript system may have written.

use serde_json::Value;

use super::{
    desired::Layout,
    edit::{ConfigTarget, follow},
    error::ConfigError,
    inspect::{inspect, targets_of_variants},
    record::ConfigRecord,
};

/// The grouping of a provider's models; plain if there is no provider. Blocking.
///
/// # Errors
/// When the configuration cannot be read or understood.
pub fn shape(target: &ConfigTarget, provider: &str) -> Result<Layout, ConfigError> {
    let config = follow(&target.config).map_err(ConfigError::io(&target.config))?;
    let there = inspect(&config, provider)?.entry;
    let ours = ConfigRecord::read(&target.state_dir)
        .of(&config, provider)
        .pop();
    // A record of values that were removed by hand does not count.
    let entry = there.map(|there| ours.unwrap_or(there));
    Ok(entry.as_ref().map(of).unwrap_or_default())
}

fn of(entry: &Value) -> Layout {
    let models = &entry["models"];
    let entries = models.as_object().into_iter().flatten();
    let targets: Vec<&str> = entries
        .flat_map(|(_, model)| targets_of_variants(model))
        .collect();
    // A model that the configuration uses has an entry all the same.
    let listed = targets.iter().filter(|id| models.get(id).is_some()).count();
    match targets.len() {
        0 => Layout::Plain,
        all if listed * 2 < all => Layout::Compact,
        _ => Layout::Variants,
    }
}
