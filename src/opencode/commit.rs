//! Writes the provider into a configuration, and checks before that the text means what was planned.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

use super::{
    desired::DesiredProvider,
    document::{Document, EMPTY},
    edit::{ConfigTarget, Draft, FileEdit, edit},
    error::ConfigError,
    plan::{SyncPlan, plan},
};
use crate::file::read_text;

/// What was changed, or would be.
#[derive(Debug, Clone, PartialEq)]
pub struct Committed {
    /// The changes.
    pub plan: SyncPlan,
    /// The file, with links followed.
    pub config: PathBuf,
    /// The backup of the old content, if it changed.
    pub backup: Option<PathBuf>,
    /// The hash of the text with the changes, for [`Original`]; `None` if there are none.
    pub written: Option<u64>,
}

/// How to undo a commit byte for byte, as long as nothing else writes the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Original {
    /// A backup of the text before.
    pub backup: PathBuf,
    /// The hash of the text after.
    pub written: u64,
}

impl Original {
    /// Whether this text is the text after.
    #[must_use]
    pub fn led_to(&self, text: &[u8]) -> bool {
        xxh3_64(text) == self.written
    }

    /// The text before, if `now` still is the text after.
    pub(super) fn text(&self, now: &[u8]) -> Option<String> {
        self.led_to(now)
            .then(|| read_text(&self.backup).ok())
            .flatten()
    }
}

/// Plans and writes, or with `dry_run` only plans. Blocking; may wait five seconds for another
/// open-cursor.
///
/// # Errors
/// When the configuration cannot be read, understood or written; it is then as it was.
pub fn commit(
    target: &ConfigTarget,
    desired: &DesiredProvider,
    dry_run: bool,
) -> Result<Committed, ConfigError> {
    let provider = desired.provider.as_str();
    let mut edited = edit(target, provider, dry_run, |config, before, ours| {
        draft(config, before, ours, desired)
    })?;
    let (plan, written) = edited.about;
    // The intention is on record, so the change itself did not fail.
    if !dry_run && let Err(error) = edited.record.keep(&edited.config, provider, &plan.record) {
        tracing::warn!(%error, "cannot record what was written to OpenCode's configuration");
    }
    Ok(Committed {
        plan,
        config: edited.config,
        backup: edited.backup,
        written,
    })
}

/// The plan and the hash of the edited text.
fn draft(
    config: &Path,
    before: Option<&[u8]>,
    ours: &[Value],
    desired: &DesiredProvider,
) -> Result<Draft<(SyncPlan, Option<u64>)>, ConfigError> {
    let id = desired.provider.as_str();
    let text = before.map_or(Ok(EMPTY), std::str::from_utf8);
    let text = text.map_err(|error| {
        ConfigError::io(config)(io::Error::new(io::ErrorKind::InvalidData, error))
    })?;
    let document = Document::parse(config, text)?;
    let rest = document.rest(id);
    let named = named(&rest, id);
    let planned = |bases: &[Value], document: &Document| {
        plan(bases, document.provider(id).as_ref(), &named, desired).map_err(|not_an_object| {
            let key = format!("provider.{id}.{}", not_an_object.0);
            document.no_object(key.trim_end_matches('.'))
        })
    };
    let plan = planned(ours, &document)?;
    document.apply(id, &plan.edits)?;
    let after = document.text();
    // Check the result: the new text must have the planned values, and the old ones elsewhere.
    let written = Document::parse(config, &after)?;
    let again = planned(std::slice::from_ref(&plan.record), &written)?;
    if !again.edits.is_empty() || written.rest(id) != rest {
        return Err(ConfigError::Unsafe {
            file: config.to_owned(),
            provider: id.to_owned(),
        });
    }
    let is_new = !plan.edits.is_empty();
    Ok(Draft {
        ours: Some(plan.record.clone()),
        about: (plan, is_new.then(|| xxh3_64(after.as_bytes()))),
        edit: match is_new {
            true => FileEdit::Replace(after),
            false => FileEdit::Keep,
        },
    })
}

/// The models of a provider that the rest of the configuration names, as `model` and agents do.
fn named(rest: &Value, provider: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut left = vec![rest];
    while let Some(value) = left.pop() {
        match value {
            Value::Array(items) => left.extend(items),
            Value::Object(map) => left.extend(map.values()),
            Value::String(text) => {
                let model = text
                    .strip_prefix(provider)
                    .and_then(|text| text.strip_prefix('/'));
                found.extend(model.map(str::to_owned));
            }
            _ => {}
        }
    }
    found
}
