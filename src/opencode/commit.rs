//! Reads the configuration, plans, and writes: atomically, locked, and only when something changes.

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::backup::{back_up, sweep};
use super::desired::DesiredProvider;
use super::document::{Document, EMPTY};
use super::error::ConfigError;
use super::plan::{SyncPlan, plan};
use super::record::Record;
use crate::file::{self, replace};

/// How long to wait for another open-cursor.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often to start again when some other program writes in between.
pub(super) const ATTEMPTS: usize = 5;

/// Which file to change, and where to remember it.
#[derive(Debug, Clone)]
pub struct Target {
    /// The configuration; need not exist. A symbolic link is followed, never replaced.
    pub config: PathBuf,
    /// A directory of ours, for the record and the lock.
    pub state_dir: PathBuf,
}

/// What was done, or would be.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The changes.
    pub plan: SyncPlan,
    /// The file itself, links followed.
    pub config: PathBuf,
    /// Where the old content is kept, if there was any and it changed.
    pub backup: Option<PathBuf>,
}

/// Plans, and changes nothing.
///
/// # Errors
/// When the configuration cannot be read or understood.
pub fn preview(target: &Target, wish: &DesiredProvider) -> Result<Outcome, ConfigError> {
    let config = follow(&target.config).map_err(ConfigError::io(&target.config))?;
    let record = Record::read(&target.state_dir);
    let draft = Draft::make(&config, &record, wish)?;
    Ok(Outcome {
        plan: draft.plan,
        config,
        backup: None,
    })
}

/// Plans and writes. Blocks; may wait five seconds for another that does the same.
///
/// # Errors
/// When the configuration cannot be read, understood or written; it is then as it was.
pub fn commit(target: &Target, wish: &DesiredProvider) -> Result<Outcome, ConfigError> {
    let _lock = lock(&target.state_dir)?;
    let config = follow(&target.config).map_err(ConfigError::io(&target.config))?;
    let mut record = Record::read(&target.state_dir);
    sweep(&config);
    for _ in 0..ATTEMPTS {
        let draft = Draft::make(&config, &record, wish)?;
        if draft.plan.edits.is_empty() {
            return finish(&mut record, config, wish, draft.plan, None);
        }
        // Others, OpenCode among them, write without our lock.
        let found = read(&config).map_err(ConfigError::io(&config))?;
        if found.as_ref().map(|(text, _)| text) != draft.before.as_ref() {
            continue;
        }
        let io_error = || ConfigError::io(config.clone());
        let (backup, mode) = match found {
            Some((text, mode)) => {
                let backup = back_up(&config, &text, mode.clone()).map_err(io_error())?;
                (Some(backup), Some(mode))
            }
            None => (None, None),
        };
        record
            .intend(&config, &wish.provider, &draft.plan.record)
            .map_err(io_error())?;
        replace(&config, draft.after.as_bytes(), mode).map_err(io_error())?;
        return finish(&mut record, config, wish, draft.plan, backup);
    }
    Err(ConfigError::Unsteady(config))
}

fn finish(
    record: &mut Record,
    config: PathBuf,
    wish: &DesiredProvider,
    plan: SyncPlan,
    backup: Option<PathBuf>,
) -> Result<Outcome, ConfigError> {
    // A failure here is no failure of the change, whose intention is on record.
    if let Err(error) = record.keep(&config, &wish.provider, &plan.record) {
        tracing::warn!(%error, "what was written could not be recorded");
    }
    Ok(Outcome {
        plan,
        config,
        backup,
    })
}

/// An edited text, not yet written.
struct Draft {
    plan: SyncPlan,
    before: Option<Vec<u8>>,
    after: String,
}

impl Draft {
    fn make(config: &Path, record: &Record, wish: &DesiredProvider) -> Result<Self, ConfigError> {
        let id = wish.provider.as_str();
        let before = read(config)
            .map_err(ConfigError::io(config))?
            .map(|(text, _)| text);
        let text = before
            .as_deref()
            .map_or(Ok(EMPTY), std::str::from_utf8)
            .map_err(|error| ConfigError::Io {
                file: config.to_owned(),
                error: io::Error::new(io::ErrorKind::InvalidData, error),
            })?;
        let document = Document::parse(config, text)?;
        let there = document.provider(id);
        let rest = document.rest(id);
        let named = named(&rest, id);
        let planned = |bases: &[Value], there: Option<&Value>| {
            plan(bases, there, &named, wish).map_err(|no_object| {
                let key = format!("provider.{id}.{}", no_object.0);
                ConfigError::Layout {
                    file: config.to_owned(),
                    key: key.trim_end_matches('.').to_owned(),
                }
            })
        };
        let plan = planned(&record.of(config, id), there.as_ref())?;
        document.apply(id, &plan.edits)?;
        let after = document.text();
        // Trust nothing: the new text must say what was planned, and else what the old one said.
        let written = Document::parse(config, &after)?;
        let again = planned(
            std::slice::from_ref(&plan.record),
            written.provider(id).as_ref(),
        )?;
        if !again.edits.is_empty() || written.rest(id) != rest {
            return Err(ConfigError::Unsafe {
                file: config.to_owned(),
                provider: id.to_owned(),
            });
        }
        Ok(Self {
            plan,
            before,
            after,
        })
    }
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

/// A file's content and mode; `None` if there is none.
pub(super) fn read(file: &Path) -> io::Result<Option<(Vec<u8>, std::fs::Permissions)>> {
    let text = match file::read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(Some((text, std::fs::metadata(file)?.permissions())))
}

/// The file that a path leads to, also where that does not exist yet.
pub(super) fn follow(path: &Path) -> io::Result<PathBuf> {
    let mut path = std::path::absolute(path)?;
    // As many links as Linux follows.
    for _ in 0..40 {
        match std::fs::read_link(&path) {
            Ok(to) => path = path.parent().unwrap_or(Path::new("/")).join(to),
            Err(_) => return Ok(path.canonicalize().unwrap_or(path)),
        }
    }
    Err(io::Error::other("too many symbolic links"))
}

pub(super) fn lock(state_dir: &Path) -> Result<File, ConfigError> {
    let path = state_dir.join("opencode.lock");
    std::fs::create_dir_all(state_dir).map_err(ConfigError::io(state_dir))?;
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(ConfigError::io(&path))?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(TryLockError::WouldBlock) => return Err(ConfigError::Busy),
            Err(TryLockError::Error(error)) => return Err(ConfigError::Io { file: path, error }),
        }
    }
}
