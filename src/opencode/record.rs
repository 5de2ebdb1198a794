//! Remembers what we wrote into which configuration, to tell our values from the user's.
//!
//! One JSON file: configuration path to provider id to the values that are ours. Losing it loses
//! nothing but that: values that differ from ours then count as the user's.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::backup::replace;

pub(super) struct Record {
    file: PathBuf,
    value: Map<String, Value>,
}

impl Record {
    /// Reads the record; one that cannot be read is an empty one.
    pub(super) fn read(state_dir: &Path) -> Self {
        let file = state_dir.join("opencode.json");
        let text = std::fs::read(&file).unwrap_or_default();
        Self {
            value: serde_json::from_slice(&text).unwrap_or_default(),
            file,
        }
    }

    pub(super) fn of(&self, config: &Path, provider: &str) -> Option<&Value> {
        self.value.get(&*config.to_string_lossy())?.get(provider)
    }

    /// Keeps what is ours now; writes only when that is news.
    pub(super) fn keep(&mut self, config: &Path, provider: &str, ours: &Value) -> io::Result<()> {
        if self.of(config, provider) == Some(ours) {
            return Ok(());
        }
        let of_config = self
            .value
            .entry(config.to_string_lossy())
            .or_insert(Value::Null);
        of_config[provider] = ours.clone();
        replace(&self.file, &serde_json::to_vec_pretty(&self.value)?, None)
    }
}
