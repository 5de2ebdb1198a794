//! Takes out of a configuration what we wrote into it, and nothing else.
//!
//! What still is as we wrote it goes; what the user changed or added stays, with the objects that
//! hold it. The provider's entry goes with its last value, and `provider` with its last entry.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value};

use super::backup::{back_up, backups};
use super::commit::{ATTEMPTS, Target, follow, lock, read};
use super::document::{Document, EMPTY};
use super::error::ConfigError;
use super::inspect::inspect;
use super::plan::same;
use super::record::Record;
use crate::file::replace;

/// What was taken out, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// The file itself, links followed.
    pub config: PathBuf,
    /// The keys that went, such as `provider.cursor-acp.models.auto`.
    pub removed: Vec<String>,
    /// The keys of the provider that stay, as they are the user's.
    pub kept: Vec<String>,
    /// Where the old content is kept.
    pub backup: Option<PathBuf>,
    /// Every backup that is there now, oldest first; they are the user's.
    pub backups: Vec<PathBuf>,
    /// Whether nothing was left of a file that we had made, so that it went as well.
    pub deleted: bool,
}

/// Removes, or only says what it would remove. Blocks. `created` says that the file was ours.
///
/// # Errors
/// When the configuration cannot be read, understood or written; it is then as it was.
pub fn remove(
    target: &Target,
    provider: &str,
    created: bool,
    dry_run: bool,
) -> Result<Removal, ConfigError> {
    let config = follow(&target.config).map_err(ConfigError::io(&target.config))?;
    if dry_run {
        let record = Record::read(&target.state_dir);
        let (draft, _) = Draft::make(&config, &record.of(&config, provider), provider)?;
        return Ok(draft.into_removal(config, created, None));
    }
    let _lock = lock(&target.state_dir)?;
    let mut record = Record::read(&target.state_dir);
    for _ in 0..ATTEMPTS {
        let (draft, before) = Draft::make(&config, &record.of(&config, provider), provider)?;
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

/// Something of ours in a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Written {
    /// The file, links followed.
    pub config: PathBuf,
    /// The provider's id in it.
    pub provider: String,
}

/// All that we wrote and that is still there. Blocking.
#[must_use]
pub fn written(state_dir: &Path) -> Vec<Written> {
    let record = Record::read(state_dir);
    let is_there = |(config, provider): &(&Path, &str)| {
        inspect(config, provider).is_ok_and(|inspection| inspection.has_provider())
    };
    let there = record.places().filter(is_there);
    there
        .map(|(config, provider)| Written {
            config: config.to_owned(),
            provider: provider.to_owned(),
        })
        .collect()
}

struct Draft {
    after: String,
    removed: Vec<String>,
    kept: Vec<String>,
}

impl Draft {
    /// The edited text, and what it was made from.
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

    fn into_removal(self, config: PathBuf, created: bool, backup: Option<PathBuf>) -> Removal {
        Removal {
            // Only to name them.
            backups: backups(&config).unwrap_or_default(),
            config,
            deleted: created && self.after == EMPTY,
            removed: self.removed,
            kept: self.kept,
            backup,
        }
    }
}

/// What is left of a value once ours is gone; notes the paths that go.
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

/// The paths of the values that are no objects.
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
