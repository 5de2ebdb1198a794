//! Reads the configuration, plans, and writes: atomically, locked, and only when something changes.

use std::{
    collections::BTreeSet,
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

use super::{
    backup::{back_up, sweep},
    desired::DesiredProvider,
    document::{Document, EMPTY},
    error::ConfigError,
    plan::{SyncPlan, plan},
    record::ConfigRecord,
};
use crate::file::{self, read_text, replace};

/// How long to wait for another open-cursor's lock.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many attempts are made while another program keeps writing.
pub(super) const ATTEMPTS: usize = 5;

/// The file to change, and the directory of the record.
#[derive(Debug, Clone)]
pub struct ConfigTarget {
    /// The configuration; need not exist. A symbolic link is followed, never replaced.
    pub config: PathBuf,
    /// Our directory for the record and the lock.
    pub state_dir: PathBuf,
}

/// What was changed, or would be.
#[derive(Debug, Clone, PartialEq)]
pub struct Committed {
    /// The changes.
    pub plan: SyncPlan,
    /// The file, with links followed.
    pub config: PathBuf,
    /// The backup of the old content, if it changed.
    pub backup: Option<PathBuf>,
    /// The hash of the text that was written, for [`Original`]; `None` if nothing was.
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

/// Plans only.
///
/// # Errors
/// When the configuration cannot be read or understood.
pub fn preview(target: &ConfigTarget, desired: &DesiredProvider) -> Result<Committed, ConfigError> {
    let config = follow(&target.config).map_err(ConfigError::io(&target.config))?;
    let record = ConfigRecord::read(&target.state_dir);
    let draft = CommitDraft::make(&config, &record, desired)?;
    Ok(Committed {
        plan: draft.plan,
        config,
        backup: None,
        written: None,
    })
}

/// Plans and writes. Blocking; may wait five seconds for another open-cursor.
///
/// # Errors
/// When the configuration cannot be read, understood or written; it is then as it was.
pub fn commit(target: &ConfigTarget, desired: &DesiredProvider) -> Result<Committed, ConfigError> {
    let _lock = lock(&target.state_dir)?;
    let config = follow(&target.config).map_err(ConfigError::io(&target.config))?;
    let mut record = ConfigRecord::read(&target.state_dir);
    sweep(&config);
    for _ in 0..ATTEMPTS {
        let draft = CommitDraft::make(&config, &record, desired)?;
        if draft.plan.edits.is_empty() {
            return finish(&mut record, config, desired, draft.plan, (None, None));
        }
        // Other programs, OpenCode included, write without our lock.
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
            .intend(&config, &desired.provider, &draft.plan.record)
            .map_err(io_error())?;
        replace(&config, draft.after.as_bytes(), mode).map_err(io_error())?;
        let written = Some(xxh3_64(draft.after.as_bytes()));
        return finish(&mut record, config, desired, draft.plan, (backup, written));
    }
    Err(ConfigError::Unsteady(config))
}

fn finish(
    record: &mut ConfigRecord,
    config: PathBuf,
    desired: &DesiredProvider,
    plan: SyncPlan,
    (backup, written): (Option<PathBuf>, Option<u64>),
) -> Result<Committed, ConfigError> {
    // The intention is on record, so the change itself did not fail.
    if let Err(error) = record.keep(&config, &desired.provider, &plan.record) {
        tracing::warn!(%error, "cannot record what was written to OpenCode's configuration");
    }
    Ok(Committed {
        plan,
        config,
        backup,
        written,
    })
}

/// An edited text, not yet written.
struct CommitDraft {
    plan: SyncPlan,
    before: Option<Vec<u8>>,
    after: String,
}

impl CommitDraft {
    fn make(
        config: &Path,
        record: &ConfigRecord,
        desired: &DesiredProvider,
    ) -> Result<Self, ConfigError> {
        let id = desired.provider.as_str();
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
            plan(bases, there, &named, desired).map_err(|not_an_object| {
                let key = format!("provider.{id}.{}", not_an_object.0);
                ConfigError::Layout {
                    file: config.to_owned(),
                    key: key.trim_end_matches('.').to_owned(),
                }
            })
        };
        let plan = planned(&record.of(config, id), there.as_ref())?;
        document.apply(id, &plan.edits)?;
        let after = document.text();
        // Check the result: the new text must have the planned values, and the old ones elsewhere.
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

/// The file that a path leads to, which need not exist.
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
