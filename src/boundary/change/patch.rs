//! A change as a patch in the grammar of Codex's and OpenCode's `apply_patch`.
//!
//! The tool takes the first place, from the last chunk on, where a chunk's old lines stand, so
//! context grows until that is the right place. Lines end at `\n`: a `\r` before it is part of the
//! line, context included, since the tool puts the patch's lines in the place of the file's (Codex
//! drops it, whatever a patch says). The tool ends every text with a newline and drops an empty last
//! line, which the last chunk makes up for by one more empty line; in a new file nothing can. So
//! what it can't make is a text without final newline, and a new one that ends in an empty line.

use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::FileChange;
use super::hunks::{Hunk, hunks, widen};

/// Lines of context around each difference, as patches usually have.
const CONTEXT: usize = 3;

/// A patch with one section for each change, which names its file as `path` says.
pub(super) fn patch<'a>(changes: impl Iterator<Item = (&'a FileChange, String)>) -> String {
    let sections: String = changes
        .map(|(change, path)| section(change, &path))
        .collect();
    format!("*** Begin Patch\n{sections}*** End Patch")
}

/// Whether the tool makes exactly this change of it.
pub(super) fn is_exact(change: &FileChange) -> bool {
    let Some(after) = &change.after else {
        return true;
    };
    let is_new = change.before.is_none();
    let empty_last = lines(after).last().is_some_and(|line| line.is_empty());
    (after.is_empty() || after.ends_with('\n')) && !(is_new && empty_last)
}

fn section(change: &FileChange, path: &str) -> String {
    match (&change.before, &change.after) {
        (_, None) => format!("*** Delete File: {path}\n"),
        (None, Some(after)) => {
            let lines: String = lines(after)
                .iter()
                .map(|line| format!("+{line}\n"))
                .collect();
            format!("*** Add File: {path}\n{lines}")
        }
        (Some(before), Some(after)) => {
            let chunks = update(before, after);
            format!("*** Update File: {path}\n{chunks}")
        }
    }
}

fn update(before: &str, after: &str) -> String {
    let old = lines(before);
    let mut new = lines(after);
    if after.is_empty() || new.last().is_some_and(|line| line.is_empty()) {
        new.push("");
    }
    let mut hunks = hunks(&old, &new);
    if hunks.is_empty() && !old.is_empty() {
        // Only the final newline differs: any chunk makes the tool put it there.
        let last = old.len() - 1;
        hunks.push(Hunk {
            old: last..old.len(),
            new: last..old.len(),
        });
    }
    for at in (0..hunks.len()).rev() {
        if at < hunks.len() {
            widen(&mut hunks, at, CONTEXT, old.len());
        }
    }
    let mut context = CONTEXT;
    while let Some(at) = misplaced(&old, &hunks) {
        context *= 2;
        widen(&mut hunks, at, context, old.len());
    }
    hunks.iter().map(|hunk| chunk(&old, &new, hunk)).collect()
}

/// A text's lines as the tool counts them: without the empty one after the final newline.
fn lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.split('\n').collect();
    if lines.last() == Some(&"") {
        lines.pop();
    }
    lines
}

/// The first hunk whose old lines the tool would find elsewhere. Lines that are equal but for
/// white space count too: some tools compare so.
fn misplaced(old: &[&str], hunks: &[Hunk]) -> Option<usize> {
    let mut from = 0;
    for (at, hunk) in hunks.iter().enumerate() {
        let pattern = &old[hunk.old.clone()];
        let found = match pattern.is_empty() {
            // Without old lines the tool appends.
            true => old.len(),
            false => (from..=old.len() - pattern.len()).find(|start| {
                let lines = &old[*start..*start + pattern.len()];
                lines.iter().zip(pattern).all(|(a, b)| a.trim() == b.trim())
            })?,
        };
        if found != hunk.old.start {
            return Some(at);
        }
        from = hunk.old.end;
    }
    None
}

fn chunk(old: &[&str], new: &[&str], hunk: &Hunk) -> String {
    let (old, new) = (&old[hunk.old.clone()], &new[hunk.new.clone()]);
    let mut chunk = "@@\n".to_owned();
    let mut put = |sign: char, lines: &[&str]| {
        for line in lines {
            chunk.push(sign);
            chunk.push_str(line);
            chunk.push('\n');
        }
    };
    for op in capture_diff_slices(Algorithm::Myers, old, new) {
        let (removed, added) = (&old[op.old_range()], &new[op.new_range()]);
        // A context line that looks like a header of the patch would be read as one.
        let plain = |lines: &[&str]| !lines.iter().any(|line| line.trim().starts_with("***"));
        if matches!(op, DiffOp::Equal { .. }) && plain(removed) {
            put(' ', removed);
        } else {
            put('-', removed);
            put('+', added);
        }
    }
    chunk
}
