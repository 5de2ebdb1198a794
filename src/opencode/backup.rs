//! Keeps the last versions of a file, and removes temporary files of killed runs.

use std::{
    ffi::OsString,
    fs::Permissions,
    io,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use crate::file::{is_temporary, replace};

/// How many backups of a file are kept.
const KEEP: usize = 5;

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
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let mut name = prefix(file);
    name.push(stamp(now.as_secs(), now.subsec_millis()));
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
    let ours = |name: &str| {
        let time = name.strip_prefix(&*prefix)?;
        let right = |(at, byte): (usize, u8)| match at {
            8 => byte == b'T',
            15 => byte == b'.',
            19 => byte == b'Z',
            _ => byte.is_ascii_digit(),
        };
        (time.len() == 20 && time.bytes().enumerate().all(right)).then_some(())
    };
    let directory = std::fs::read_dir(file.parent().unwrap_or(Path::new(".")))?;
    let entries = directory.filter_map(Result::ok);
    let found = entries.filter(|entry| ours(&entry.file_name().to_string_lossy()).is_some());
    let mut found: Vec<PathBuf> = found.map(|entry| entry.path()).collect();
    found.sort();
    Ok(found)
}

/// `20261121T033409.120Z`: sorts by time.
fn stamp(seconds: u64, millis: u32) -> String {
    let (day, time) = (seconds / 86_400, seconds % 86_400);
    // Days to a date, counting years from March so that leap days come last.
    let since_0000 = day + 719_468;
    let (era, of_era) = (since_0000 / 146_097, since_0000 % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march = (5 * of_year + 2) / 153;
    let date = of_year - (153 * march + 2) / 5 + 1;
    let month = if march < 10 { march + 3 } else { march - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (time / 3_600, time / 60 % 60, time % 60);
    format!("{year:04}{month:02}{date:02}T{hour:02}{minute:02}{second:02}.{millis:03}Z")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn stamps() {
        assert_eq!(stamp(0, 7), "19700101T000000.007Z");
        assert_eq!(stamp(951_782_400, 0), "20000229T000000.000Z");
        assert_eq!(stamp(1_795_232_049, 120), "20261121T033409.120Z");
        assert_eq!(stamp(4_107_542_399, 999), "21000228T235959.999Z");
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
