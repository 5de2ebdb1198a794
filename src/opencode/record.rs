//! Records what we wrote into which configuration, to tell our values from the user's.
//!
//! One JSON file: configuration path to provider id to lists of our values. There may be several
//! lists: intended values are recorded before the configuration is written, so that a kill in between
//! loses none. Without the file, values that differ from ours count as the user's.

use std::{
    io,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use crate::file::replace;

pub(super) struct ConfigRecord {
    file: PathBuf,
    value: Map<String, Value>,
}

impl ConfigRecord {
    /// Reads the record; one that cannot be read counts as empty.
    pub(super) fn read(state_dir: &Path) -> Self {
        let file = state_dir.join("opencode.json");
        let text = std::fs::read(&file).unwrap_or_default();
        Self {
            value: serde_json::from_slice(&text).unwrap_or_default(),
            file,
        }
    }

    /// All configurations and providers that hold values of ours.
    pub(super) fn places(&self) -> impl Iterator<Item = (&Path, &str)> {
        let configs = self.value.iter();
        configs.flat_map(|(config, providers)| {
            let providers = providers.as_object().into_iter().flatten();
            providers.map(move |(provider, _)| (Path::new(config), provider.as_str()))
        })
    }

    /// What we wrote, or may have written.
    pub(super) fn of(&self, config: &Path, provider: &str) -> Vec<Value> {
        let of_config = self.value.get(&*config.to_string_lossy());
        let trees = of_config.and_then(|of_config| of_config.get(provider)?.as_array());
        trees.cloned().unwrap_or_default()
    }

    /// Records what is about to be written.
    pub(super) fn intend(&mut self, config: &Path, provider: &str, ours: &Value) -> io::Result<()> {
        let mut trees = self.of(config, provider);
        if !trees.contains(ours) {
            trees.push(ours.clone());
        }
        // After more kills in a row than this, some values may count as the user's.
        let excess = trees.len().saturating_sub(4);
        self.write(config, provider, trees.split_off(excess))
    }

    /// Records what was written; writes the file only if it changes.
    pub(super) fn keep(&mut self, config: &Path, provider: &str, ours: &Value) -> io::Result<()> {
        let trees = vec![ours.clone()];
        if self.of(config, provider) == trees {
            return Ok(());
        }
        self.write(config, provider, trees)
    }

    /// Records that nothing of ours is left.
    pub(super) fn forget(&mut self, config: &Path, provider: &str) -> io::Result<()> {
        if self.of(config, provider).is_empty() {
            return Ok(());
        }
        let config = config.to_string_lossy();
        if let Some(Value::Object(of_config)) = self.value.get_mut(&*config) {
            of_config.shift_remove(provider);
            if of_config.is_empty() {
                self.value.shift_remove(&*config);
            }
        }
        if self.value.is_empty() {
            return std::fs::remove_file(&self.file);
        }
        self.save()
    }

    fn write(&mut self, config: &Path, provider: &str, trees: Vec<Value>) -> io::Result<()> {
        let of_config = self
            .value
            .entry(config.to_string_lossy())
            .or_insert(Value::Null);
        of_config[provider] = trees.into();
        self.save()
    }

    fn save(&self) -> io::Result<()> {
        replace(&self.file, &serde_json::to_vec_pretty(&self.value)?, None)
    }
}
