//! Keeps the last versions of a file, and removes temporary files of killed runs.

use std::{
    ffi::OsString,
    fs::Permissions,
    io,
    path::{Path, PathBuf},
};

use time::{
    OffsetDateTime, PrimitiveDateTime, format_description::BorrowedFormatItem,
    macros::format_description,
};

use crate::file::{is_temporary, replace};

/// How many backups of a file are kept.
const KEEP: usize = 5;

/// `20261121T033409.120Z`: sorts by time.
const STAMP: &[BorrowedFormatItem<'_>] =
    format_description!("[year][month][day]T[hour][minute][second].[subsecond digits:3]Z");

/// Removes temporary files of killed runs beside `file`. Only under the lock, which excludes other runs.
pub(super) fn sweep(file: &Path) {
    let directory = file
        .parent()
        .and_then(|directory| std::fs::read_dir(directory).ok());
    for entry in directory.into_iter().flatten().filter_map(Result::ok) {
        if is_temporary(&entry.file_name().to_string_lossy()) {
            // The next run tries again.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Writes `text`, the content of `file`, to `<file>.bak-<time>`, and removes the oldest backups.
pub(super) fn back_up(file: &Path, text: &[u8], mode: Permissions) -> io::Result<PathBuf> {
    let stamp = OffsetDateTime::now_utc().format(STAMP);
    let mut name = prefix(file);
    name.push(stamp.map_err(io::Error::other)?);
    let backup = file.with_file_name(name);
    replace(&backup, text, Some(mode))?;
    let all = backups(file)?;
    for old in all.iter().rev().skip(KEEP) {
        std::fs::remove_file(old)?;
    }
    Ok(backup)
}

fn prefix(file: &Path) -> OsString {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".bak-");
    name
}

/// The backups that we made, oldest first.
pub(super) fn backups(file: &Path) -> io::Result<Vec<PathBuf>> {
    let prefix = prefix(file);
    let prefix = prefix.to_string_lossy();
    let is_ours = |name: &str| {
        let stamp = name.strip_prefix(&*prefix);
        stamp.is_some_and(|stamp| PrimitiveDateTime::parse(stamp, STAMP).is_ok())
    };
    let directory = std::fs::read_dir(file.parent().unwrap_or(Path::new(".")))?;
    let entries = directory.filter_map(Result::ok);
    let found = entries.filter(|entry| is_ours(&entry.file_name().to_string_lossy()));
    let mut found: Vec<PathBuf> = found.map(|entry| entry.path()).collect();
    found.sort();
    Ok(found)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn stamps() {
        let at = OffsetDateTime::from_unix_timestamp_nanos(1_795_232_049_120_999_999).unwrap();
        assert_eq!(at.format(STAMP).unwrap(), "20261121T033409.120Z");
    }

    #[test]
    fn the_last_five_are_kept_and_nothing_else_is_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("opencode.json");
        std::fs::write(&file, "x").unwrap();
        let mode = std::fs::metadata(&file).unwrap().permissions();
        let foreign = directory
            .path()
            .join("opencode.json.bak.2026-01-01T00-00-00.000Z");
        std::fs::write(&foreign, "theirs").unwrap();
        let mut made = Vec::new();
        while made.len() < 8 {
            let backup =
                back_up(&file, format!("{}", made.len()).as_bytes(), mode.clone()).unwrap();
            if made.last() != Some(&backup) {
                made.push(backup);
            }
        }
        assert_eq!(backups(&file).unwrap(), made[3..]);
        assert!(foreign.exists() && file.exists());
    }
}
