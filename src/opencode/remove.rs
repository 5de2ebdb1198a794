//! Removes from a configuration what we wrote into it, and nothing else.
//!
//! Values that are still as we wrote them are removed; what the user changed or added stays, with the
//! objects around it. An empty provider's entry is removed, and so is an empty `provider`.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    backup::backups,
    commit::Original,
    document::{Document, EMPTY},
    edit::{ConfigTarget, Draft, Edited, FileEdit, edit},
    error::ConfigError,
    inspect::inspect,
    plan::same,
    record::ConfigRecord,
};

/// What was removed, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Removal {
    /// The file, with links followed.
    #[serde(rename = "path")]
    pub config: PathBuf,
    /// The removed keys, such as `provider.cursor-acp.models.auto`.
    pub removed: Vec<String>,
    /// The keys of the provider that stay, because they are the user's.
    pub kept: Vec<String>,
    /// Whether the file was deleted: we had created it, and nothing was left in it.
    pub deleted: bool,
    /// The backup of the old content.
    pub backup: Option<PathBuf>,
    /// All backups, oldest first; they are not removed.
    pub backups: Vec<PathBuf>,
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
    let Edited {
        about: mut removal,
        config,
        backup,
        mut record,
        ..
    } = edit(target, provider, dry_run, |config, before, ours| {
        draft(config, before, ours, provider, created, original)
    })?;
    if !dry_run {
        let forgotten = record.forget(&config, provider);
        forgotten.map_err(ConfigError::io(&config))?;
    }
    removal.backup = backup;
    // Only to list them.
    removal.backups = backups(&config).unwrap_or_default();
    Ok(removal)
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

fn draft(
    config: &Path,
    before: Option<&[u8]>,
    ours: &[Value],
    provider: &str,
    created: bool,
    original: Option<&Original>,
) -> Result<Draft<Removal>, ConfigError> {
    let before_or_empty = before.unwrap_or(EMPTY.as_bytes());
    let text = String::from_utf8_lossy(before_or_empty);
    let document = Document::parse(config, &text)?;
    let rest = document.rest(provider);
    let ours: Vec<&Value> = ours.iter().collect();
    let mut path = vec!["provider".to_owned(), provider.to_owned()];
    let mut removed = Vec::new();
    let there = document.provider(provider);
    let left = there.and_then(|there| left(&ours, &there, &mut path, &mut removed));
    for path in &removed {
        document.remove(path);
    }
    let mut after = match removed.is_empty() {
        true => text.into_owned(),
        false => document.text(),
    };
    let written = Document::parse(config, &after)?;
    if written.provider(provider) != left || written.rest(provider) != rest {
        return Err(ConfigError::Unsafe {
            file: config.to_owned(),
            provider: provider.to_owned(),
        });
    }
    // The original text, if that has the same content.
    let original = original.and_then(|original| original.text(before_or_empty));
    let has_same = |text: &String| {
        let original = Document::parse(config, text);
        original.is_ok_and(|original| original.value() == written.value())
    };
    after = original.filter(has_same).unwrap_or(after);
    let deleted = created && before.is_some() && after == EMPTY;
    Ok(Draft {
        about: Removal {
            config: config.to_owned(),
            removed: removed.iter().map(|path| path.join(".")).collect(),
            kept: leaves(left.as_ref(), &format!("provider.{provider}")),
            deleted,
            backup: None,
            backups: Vec::new(),
        },
        edit: match removed.is_empty() {
            _ if deleted => FileEdit::Delete,
            true => FileEdit::Keep,
            false => FileEdit::Replace(after),
        },
        ours: None,
    })
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
