//! A change as a shell command, for clients that have nothing else.
//!
//! The command makes exactly this change, in any POSIX shell. It writes the whole file, unless that is
//! long and the change small: then it puts the new lines between those of the file, after a look at
//! the file's checksum.

use super::FileChange;
use super::calls::quoted;
use super::hunks::{hunks, span};

/// A longer command may not run: Linux limits one argument of a program to 128 KiB.
const MAX_COMMAND: usize = 120_000;

/// Files up to this length are written as a whole.
const SHORT: usize = 4096;

/// The command; `None` if no shell can carry it.
pub(super) fn command(change: &FileChange) -> Option<String> {
    let file = quoted(&change.path);
    let Some(after) = &change.after else {
        return Some(format!("rm -- {file}"));
    };
    if after.contains('\0') || change.path.contains('\0') {
        return None;
    }
    let whole = || write(after, &file, change);
    let command = match &change.before {
        Some(before) if after.len() > SHORT => {
            let splice = splice(before, after, &file);
            if splice.len() < after.len() {
                splice
            } else {
                whole()
            }
        }
        _ => whole(),
    };
    (command.len() <= MAX_COMMAND).then_some(command)
}

/// Writes the whole file.
fn write(after: &str, file: &str, change: &FileChange) -> String {
    let parent = std::path::Path::new(&change.path).parent();
    let parent = parent.filter(|parent| change.before.is_none() && parent.components().count() > 0);
    let make =
        parent.map(|parent| format!("mkdir -p -- {} && ", quoted(&parent.to_string_lossy())));
    let (print, here) = print(after);
    format!("{}{print} > {file}{here}", make.unwrap_or_default())
}

/// Puts the new lines in the place of the old ones.
fn splice(before: &str, after: &str, file: &str) -> String {
    let old: Vec<&str> = before.split_inclusive('\n').collect();
    let new: Vec<&str> = after.split_inclusive('\n').collect();
    let Some(hunk) = span(&hunks(&old, &new)).pop() else {
        return format!(": {file}");
    };
    let (print, here) = print(&new[hunk.new.clone()].concat());
    let mut parts = Vec::new();
    if hunk.old.start > 0 {
        parts.push(format!("head -n {} < {file}", hunk.old.start));
    }
    parts.push(print);
    if hunk.old.end < old.len() {
        parts.push(format!("tail -n +{} < {file}", hunk.old.end + 1));
    }
    let (crc, len) = (cksum(before.as_bytes()), before.len());
    format!(
        "if [ \"$(cksum < {file})\" = '{crc} {len}' ]; then\n\
         (t=$(mktemp) && {{ {}; }} > \"$t\" && cat \"$t\" > {file} && rm \"$t\"){here}\n\
         else echo 'the file is not as it was when it was edited' >&2; false; fi",
        parts.join(" && "),
    )
}

/// A command that prints the text, and what has to follow the line that it stands on.
fn print(text: &str) -> (String, String) {
    if text.is_empty() {
        return ("printf ''".to_owned(), String::new());
    }
    // dash loses a line of a here-document that begins like its end and goes on beyond ASCII.
    if !text.ends_with('\n') || !text.is_ascii() {
        let text = text.replace('\'', r"'\''");
        return (format!("printf %s '{text}'"), String::new());
    }
    let mut end = "EOF".to_owned();
    while text.lines().any(|line| line == end) {
        end.push('_');
    }
    (format!("cat <<'{end}'"), format!("\n{text}{end}"))
}

/// The first number that POSIX's `cksum` prints: the CRC of a text and its length.
fn cksum(bytes: &[u8]) -> u32 {
    let mut len = bytes.len();
    let length = std::iter::from_fn(|| {
        let byte = (len > 0).then_some((len & 0xFF) as u8)?;
        len >>= 8;
        Some(byte)
    });
    let mut crc = 0_u32;
    for byte in bytes.iter().copied().chain(length) {
        crc ^= u32::from(byte) << 24;
        for _ in 0..8 {
            let carry = crc & 0x8000_0000 != 0;
            crc = crc << 1 ^ if carry { 0x04C1_1DB7 } else { 0 };
        }
    }
    !crc
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    /// Runs the command for a change in a directory of its own; what is then in the file.
    fn run(name: &str, before: Option<&str>, after: Option<&str>) -> Option<String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        if let Some(before) = before {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, before).unwrap();
        }
        let change = FileChange {
            path: path.to_str().unwrap().to_owned(),
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
        };
        let command = command(&change).unwrap();
        let output = Command::new("sh").arg("-c").arg(&command).output().unwrap();
        assert!(output.status.success(), "{command}\n{output:?}");
        assert_eq!(
            (output.stdout.len(), output.stderr.len()),
            (0, 0),
            "{output:?}"
        );
        std::fs::read_to_string(path).ok()
    }

    #[test]
    fn the_checksum_is_that_of_the_command() {
        // By `printf … | cksum`.
        assert_eq!(cksum(b""), 4_294_967_295);
        assert_eq!(cksum(b"123456789"), 930_766_865);
    }

    #[test]
    fn a_line_that_begins_like_the_end_is_none() {
        for text in ["EOF¡\n", "EOF\n", "EOF_\nEOF__é\n"] {
            assert_eq!(run("a", None, Some(text)), Some(text.to_owned()));
        }
    }

    #[test]
    fn files_are_made_with_their_directory_and_removed() {
        assert_eq!(
            run("new dir/-x 'y'", None, Some("a\n")),
            Some("a\n".to_owned())
        );
        assert_eq!(run("a", Some("b"), None), None);
        assert_eq!(run("a", Some("b"), Some("")), Some(String::new()));
    }

    #[test]
    fn a_small_change_of_a_long_file_is_a_short_command() {
        let before: String = (0..5000).map(|n| format!("line {n}\n")).collect();
        for (old, new) in [
            ("line 0\n", ""),
            ("line 2500\n", "x\ny"),
            ("line 4999\n", "end"),
        ] {
            let after = before.replace(old, new);
            assert_eq!(run("a", Some(&before), Some(&after)), Some(after.clone()));
            let change = FileChange {
                path: "a".to_owned(),
                before: Some(before.clone()),
                after: Some(after),
            };
            assert!(command(&change).unwrap().len() < 400);
        }
    }

    #[test]
    fn a_file_that_has_changed_meanwhile_is_left_alone() {
        let before = "line\n".repeat(2000);
        let change = |path: &std::path::Path| FileChange {
            path: path.to_str().unwrap().to_owned(),
            before: Some(before.clone()),
            after: Some(before.clone() + "end\n"),
        };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, "other\n").unwrap();
        let command = command(&change(&path)).unwrap();
        let output = Command::new("sh").arg("-c").arg(command).output().unwrap();
        assert!(!output.status.success());
        assert!(
            String::from_utf8(output.stderr)
                .unwrap()
                .contains("not as it was")
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "other\n");
    }

    #[test]
    fn what_no_shell_can_carry_is_none() {
        let change = |after: &str| FileChange {
            path: "/a".to_owned(),
            before: None,
            after: Some(after.to_owned()),
        };
        assert_eq!(command(&change("a\0b")), None);
        assert_eq!(command(&change(&"x\n".repeat(100_000))), None);
    }

    /// What shells, here-documents and quotes could trip over.
    fn text() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            4 => "[ -~]{0,12}",
            1 => "[\u{1}-\u{9}\u{b}-\u{1f}\u{7f}-\u{2ff}]{1,4}",
            1 => Just("EOF".to_owned()),
            1 => Just("EOF_".to_owned()),
            1 => prop::sample::select(vec!["'", "'\\''", "$(x)", "`x`", "\\", "%s%n", "!!", "${x}", "<<EOF"])
                .prop_map(str::to_owned),
        ];
        let line = prop::collection::vec(piece, 0..3).prop_map(|pieces| pieces.concat());
        let ending = prop::sample::select(vec!["\n", "\n", "\n", "\r\n", ""]);
        prop::collection::vec((line, ending), 0..8)
            .prop_map(|lines| lines.into_iter().map(|(line, end)| line + end).collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        /// Applied to the file before by a real shell, the command makes the file after.
        #[test]
        fn the_command_makes_the_change(
            before in prop::option::of(text()),
            after in text(),
            padding in prop::sample::select(vec![0, 0, 1500]),
        ) {
            let long = "a line of some length\n".repeat(padding / 4);
            let before = before.map(|before| format!("{before}{long}{before}"));
            let after = format!("{after}{long}{}", before.as_deref().map_or("", |_| "x"));
            if before.as_deref() != Some(&after) {
                prop_assert_eq!(run("a b", before.as_deref(), Some(&after)), Some(after.clone()));
            }
        }
    }
}
