//! Reads a configuration, has it edited, and writes it: atomically, locked, and only when something
//! changes.

use std::{
    fs::{File, Permissions, TryLockError},
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    backup::{back_up, sweep},
    error::ConfigError,
    record::ConfigRecord,
};
use crate::file::{self, replace};

/// How long to wait for another open-cursor's lock.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many attempts are made while another program keeps writing.
const ATTEMPTS: usize = 5;

/// The file to change, and the directory of the record.
#[derive(Debug, Clone)]
pub struct ConfigTarget {
    /// The configuration; need not exist. A symbolic link is followed, never replaced.
    pub config: PathBuf,
    /// Our directory for the record and the lock.
    pub state_dir: PathBuf,
}

/// What is to become of the file.
pub(super) enum FileEdit {
    Keep,
    Replace(String),
    Delete,
}

/// A planned edit, and the report that goes with it.
pub(super) struct Draft<T> {
    pub(super) about: T,
    pub(super) edit: FileEdit,
    /// Values that are ours once the file is written.
    pub(super) ours: Option<Value>,
}

/// An edit that was made, or would be.
pub(super) struct Edited<T> {
    pub(super) about: T,
    /// The file, with links followed.
    pub(super) config: PathBuf,
    /// The backup of the old content, if it changed.
    pub(super) backup: Option<PathBuf>,
    pub(super) record: ConfigRecord,
    /// Other runs of ours wait until this is dropped.
    _lock: Option<File>,
}

/// Makes an edit of the provider, which `draft` plans for a file and its content, if there is one, and
/// the values that we wrote or may have written. Blocking; may wait five seconds for another
/// open-cursor. The caller records what came of it, unless it was a `dry_run`.
pub(super) fn edit<T>(
    target: &ConfigTarget,
    provider: &str,
    dry_run: bool,
    draft: impl Fn(&Path, Option<&[u8]>, &[Value]) -> Result<Draft<T>, ConfigError>,
) -> Result<Edited<T>, ConfigError> {
    let lock = match dry_run {
        true => None,
        false => Some(lock(&target.state_dir)?),
    };
    let config = follow(&target.config).map_err(ConfigError::io(&target.config))?;
    let mut record = ConfigRecord::read(&target.state_dir);
    if !dry_run {
        sweep(&config);
    }
    for _ in 0..ATTEMPTS {
        let io_error = || ConfigError::io(config.clone());
        let before = read(&config).map_err(io_error())?;
        let text = before.as_ref().map(|(text, _)| text.as_slice());
        let draft = draft(&config, text, &record.of(&config, provider))?;
        let mut backup = None;
        if !dry_run {
            // Other programs, OpenCode included, write without our lock.
            let now = read(&config).map_err(io_error())?;
            if now.as_ref().map(|(text, _)| text.as_slice()) != text {
                continue;
            }
            match draft.edit {
                FileEdit::Keep => {}
                FileEdit::Delete => std::fs::remove_file(&config).map_err(io_error())?,
                FileEdit::Replace(after) => {
                    let (text, mode) = now.unzip();
                    if let (Some(text), Some(mode)) = (text, mode.clone()) {
                        backup = Some(back_up(&config, &text, mode).map_err(io_error())?);
                    }
                    if let Some(ours) = &draft.ours {
                        let intended = record.intend(&config, provider, ours);
                        intended.map_err(io_error())?;
                    }
                    replace(&config, after.as_bytes(), mode).map_err(io_error())?;
                }
            }
        }
        return Ok(Edited {
            about: draft.about,
            config,
            backup,
            record,
            _lock: lock,
        });
    }
    Err(ConfigError::Unsteady(config))
}

/// A file's content and mode; `None` if there is none.
fn read(file: &Path) -> io::Result<Option<(Vec<u8>, Permissions)>> {
    match file::read(file) {
        Ok(text) => Ok(Some((text, std::fs::metadata(file)?.permissions()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
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

fn lock(state_dir: &Path) -> Result<File, ConfigError> {
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
