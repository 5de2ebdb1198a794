//! Removes from a configuration what we wrote into it, and nothing else.
//!
//! Values that are still as we wrote them are removed; what the user changed or added stays, with the
//! objects around it. An empty provider's entry is removed, and so is an empty `provider`.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    backup::{back_up, backups},
    commit::{ATTEMPTS, ConfigTarget, Original, follow, lock, read},
    document::{Document, EMPTY},
    error::ConfigError,
    inspect::inspect,
    plan::same,
    record::ConfigRecord,
};
use crate::file::replace;

/// What was removed, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// The file, with links followed.
    pub config: PathBuf,
    /// The removed keys, such as `provider.cursor-acp.models.auto`.
    pub removed: Vec<String>,
    /// The keys of the provider that stay, because they are the user's.
    pub kept: Vec<String>,
    /// The backup of the old content.
    pub backup: Option<PathBuf>,
    /// All backups, oldest first; they are not removed.
    pub backups: Vec<PathBuf>,
    /// Whether the file was deleted: we had created it, and nothing was left in it.
    pub deleted: bool,
}

/// Removes, or only reports what it would remove. Blocking. `created`: whether we created the file.
/// With `original`, the text before is restored byte for byte if nothing else wrote the file since.
///
/// # Errors
/// When the configuration cannot be read, parsed or written; it is unchanged then.
pub fn remove(
    target: &ConfigTarget,
    provider: &str,
    created: bool,
    original: Option<&Original>,
    dry_run: bool,
) -> Result<Removal, ConfigError> {
    let config = follow(&target.config).map_err(ConfigError::io(&target.config))?;
    if dry_run {
        let record = ConfigRecord::read(&target.state_dir);
        let (draft, _) = RemovalDraft::make(&config, &record.of(&config, provider), provider)?;
        return Ok(draft.into_removal(config, created, None));
    }
    let _lock = lock(&target.state_dir)?;
    let mut record = ConfigRecord::read(&target.state_dir);
    for _ in 0..ATTEMPTS {
        let (mut draft, before) =
            RemovalDraft::make(&config, &record.of(&config, provider), provider)?;
        if let (Some(original), Some(before)) = (original, &before) {
            draft.restore(&config, original, before);
        }
        let io_error = || ConfigError::io(config.clone());
        let Some(found) = read(&config).map_err(io_error())? else {
            record.forget(&config, provider).map_err(io_error())?;
            return Ok(draft.into_removal(config, false, None));
        };
        if before.as_ref() != Some(&found.0) {
            continue;
        }
        let mut backup = None;
        if created && draft.after == EMPTY {
            std::fs::remove_file(&config).map_err(io_error())?;
        } else if !draft.removed.is_empty() {
            backup = Some(back_up(&config, &found.0, found.1.clone()).map_err(io_error())?);
            replace(&config, draft.after.as_bytes(), Some(found.1)).map_err(io_error())?;
        }
        record.forget(&config, provider).map_err(io_error())?;
        return Ok(draft.into_removal(config, created, backup));
    }
    Err(ConfigError::Unsteady(config))
}

/// A provider of ours in a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OurEntry {
    /// The file, with links followed.
    pub config: PathBuf,
    /// The provider's id in it.
    pub provider: String,
}

/// All providers that we wrote and that are still there. Blocking.
#[must_use]
pub fn written(state_dir: &Path) -> Vec<OurEntry> {
    let record = ConfigRecord::read(state_dir);
    let is_there = |(config, provider): &(&Path, &str)| {
        inspect(config, provider).is_ok_and(|inspection| inspection.has_provider())
    };
    let there = record.places().filter(is_there);
    there
        .map(|(config, provider)| OurEntry {
            config: config.to_owned(),
            provider: provider.to_owned(),
        })
        .collect()
}

struct RemovalDraft {
    after: String,
    removed: Vec<String>,
    kept: Vec<String>,
}

impl RemovalDraft {
    /// The edited text, not yet written.
    fn make(
        config: &Path,
        ours: &[Value],
        provider: &str,
    ) -> Result<(Self, Option<Vec<u8>>), ConfigError> {
        let before = read(config)
            .map_err(ConfigError::io(config))?
            .map(|(text, _)| text);
        let text = String::from_utf8_lossy(before.as_deref().unwrap_or(EMPTY.as_bytes()));
        let document = Document::parse(config, &text)?;
        let (there, rest) = (document.provider(provider), document.rest(provider));
        let mut draft = Self {
            after: text.clone().into_owned(),
            removed: Vec::new(),
            kept: Vec::new(),
        };
        let Some(there) = there else {
            return Ok((draft, before));
        };
        let mut path = vec!["provider".to_owned(), provider.to_owned()];
        let mut removed = Vec::new();
        let left = left(
            &ours.iter().collect::<Vec<_>>(),
            &there,
            &mut path,
            &mut removed,
        );
        for path in &removed {
            document.remove(path);
        }
        draft.removed = removed.iter().map(|path| path.join(".")).collect();
        draft.kept = leaves(left.as_ref(), &format!("provider.{provider}"));
        draft.after = document.text();
        let written = Document::parse(config, &draft.after)?;
        if written.provider(provider) != left || written.rest(provider) != rest {
            return Err(ConfigError::Unsafe {
                file: config.to_owned(),
                provider: provider.to_owned(),
            });
        }
        Ok((draft, before))
    }

    /// Replaces the text by the original one, if that has the same content.
    fn restore(&mut self, config: &Path, original: &Original, before: &[u8]) {
        let value = |text: &str| Some(Document::parse(config, text).ok()?.value());
        if let Some(text) = original.text(before)
            && value(&text) == value(&self.after)
        {
            self.after = text;
        }
    }

    fn into_removal(self, config: PathBuf, created: bool, backup: Option<PathBuf>) -> Removal {
        Removal {
            // Only to list them.
            backups: backups(&config).unwrap_or_default(),
            config,
            deleted: created && self.after == EMPTY,
            removed: self.removed,
            kept: self.kept,
            backup,
        }
    }
}

/// A value without ours; collects the removed paths.
fn left(
    ours: &[&Value],
    there: &Value,
    path: &mut Vec<String>,
    removed: &mut Vec<Vec<String>>,
) -> Option<Value> {
    if ours.iter().any(|ours| same(ours, there)) {
        removed.push(path.clone());
        return None;
    }
    let (Value::Object(map), true) = (there, ours.iter().any(|ours| ours.is_object())) else {
        return Some(there.clone());
    };
    let before = removed.len();
    let mut rest = Map::new();
    for (key, value) in map {
        let ours: Vec<&Value> = ours.iter().filter_map(|ours| ours.get(key)).collect();
        path.push(key.clone());
        rest.extend(left(&ours, value, path, removed).map(|value| (key.clone(), value)));
        path.pop();
    }
    if rest.is_empty() {
        // All at once rather than one by one.
        removed.truncate(before);
        removed.push(path.clone());
        return None;
    }
    Some(rest.into())
}

/// The paths of the values that are not objects.
fn leaves(value: Option<&Value>, path: &str) -> Vec<String> {
    match value {
        Some(Value::Object(map)) => {
            let inner = map
                .iter()
                .map(|(key, value)| leaves(Some(value), &format!("{path}.{key}")));
            inner.flatten().collect()
        }
        Some(_) => vec![path.to_owned()],
        None => Vec::new(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
