//! Reads our provider from OpenCode's configuration.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{document::Document, error::ConfigError};
use crate::file;

/// A configuration, and the provider's entry in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspection {
    /// The file.
    pub config: PathBuf,
    /// Whether it exists.
    pub exists: bool,
    pub(super) entry: Option<Value>,
}

/// Reads the entry of a provider.
///
/// # Errors
/// When the file cannot be read or parsed.
pub fn inspect(config: &Path, provider: &str) -> Result<Inspection, ConfigError> {
    let (exists, entry) = match file::read_text(config) {
        Ok(text) => (true, Document::parse(config, &text)?.provider(provider)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => (false, None),
        Err(error) => return Err(ConfigError::io(config)(error)),
    };
    Ok(Inspection {
        config: config.to_owned(),
        exists,
        entry,
    })
}

impl Inspection {
    /// Whether the provider is configured.
    #[must_use]
    pub fn has_provider(&self) -> bool {
        self.entry.is_some()
    }

    /// Where OpenCode looks for the server.
    #[must_use]
    pub fn base_url(&self) -> Option<&str> {
        self.entry.as_ref()?["options"]["baseURL"].as_str()
    }

    /// The package that OpenCode loads for the provider.
    #[must_use]
    pub fn package(&self) -> Option<&str> {
        self.entry.as_ref()?["npm"].as_str()
    }

    /// How many models it has.
    #[must_use]
    pub fn models(&self) -> usize {
        self.entries().count()
    }

    /// Whether a model has variants of ours.
    #[must_use]
    pub fn has_variants(&self) -> bool {
        let targets = |model| targets_of_variants(model).next();
        self.entries().any(|(_, model)| targets(model).is_some())
    }

    /// Every Cursor model that a choice in OpenCode can request.
    #[must_use]
    pub fn targets(&self) -> BTreeSet<String> {
        let mut targets = BTreeSet::new();
        for (id, model) in self.entries() {
            let own = model["options"]["cursorModel"].as_str().unwrap_or(id);
            targets.insert(own.to_owned());
            targets.extend(targets_of_variants(model).map(str::to_owned));
        }
        targets
    }

    fn entries(&self) -> impl Iterator<Item = (&String, &Value)> {
        let models = self
            .entry
            .as_ref()
            .and_then(|entry| entry["models"].as_object());
        models.into_iter().flatten()
    }
}

/// The models of Cursor's that a model's variants stand for.
pub(super) fn targets_of_variants(model: &Value) -> impl Iterator<Item = &str> {
    let variants = model["variants"].as_object().into_iter().flatten();
    variants.filter_map(|(_, variant)| variant["cursorModel"].as_str())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there() {
        let home = tempfile::tempdir().unwrap();
        let config = home.path().join("opencode.jsonc");
        let nothing = inspect(&config, "cursor-acp").unwrap();
        assert!(!nothing.exists && !nothing.has_provider() && nothing.targets().is_empty());
        let text = r#"{"provider": {"cursor-acp": {
            "npm": "p", "options": {"baseURL": "http://b"}, // ours
            "models": {
                "a": {"name": "A"},
                "b": {"options": {"cursorModel": "b-medium"}, "variants": {
                    "high": {"cursorModel": "b-high"}, "low": {"disabled": true}}},
            },
        }}}"#;
        std::fs::write(&config, text).unwrap();
        let there = inspect(&config, "cursor-acp").unwrap();
        assert_eq!(
            (there.base_url(), there.package()),
            (Some("http://b"), Some("p"))
        );
        assert_eq!((there.models(), there.has_variants()), (2, true));
        let targets: Vec<String> = there.targets().into_iter().collect();
        assert_eq!(targets, ["a", "b-high", "b-medium"]);
        std::fs::write(&config, "{").unwrap();
        assert!(inspect(&config, "cursor-acp").is_err());
    }
}
