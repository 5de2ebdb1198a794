//! Where two texts differ, line by line.

use std::ops::Range;

use similar::{Algorithm, DiffOp, capture_diff_slices};

/// Middles with more lines than this together are not compared but replaced as a whole: the diff
/// of two unrelated texts takes time in the product of their lengths.
const MAX_COMPARED: usize = 20_000;

/// Lines `old` of the text before that are replaced by lines `new` of the text after. Lines
/// between two hunks are equal in both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hunk {
    pub old: Range<usize>,
    pub new: Range<usize>,
}

/// The differences, in order and apart from each other.
pub(super) fn hunks(before: &[&str], after: &[&str]) -> Vec<Hunk> {
    let head = before.iter().zip(after).take_while(|(a, b)| a == b).count();
    let tail = before[head..]
        .iter()
        .rev()
        .zip(after[head..].iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    let (old, new) = (
        &before[head..before.len() - tail],
        &after[head..after.len() - tail],
    );
    if old.is_empty() && new.is_empty() {
        return Vec::new();
    }
    if old.len() + new.len() > MAX_COMPARED {
        return vec![Hunk {
            old: head..before.len() - tail,
            new: head..after.len() - tail,
        }];
    }
    let mut hunks: Vec<Hunk> = Vec::new();
    for op in capture_diff_slices(Algorithm::Myers, old, new) {
        if matches!(op, DiffOp::Equal { .. }) {
            continue;
        }
        let shifted = |range: Range<usize>| range.start + head..range.end + head;
        let (old, new) = (shifted(op.old_range()), shifted(op.new_range()));
        match hunks.last_mut() {
            Some(last) if last.old.end == old.start && last.new.end == new.start => {
                last.old.end = old.end;
                last.new.end = new.end;
            }
            _ => hunks.push(Hunk { old, new }),
        }
    }
    hunks
}

/// Widens a hunk by up to `lines` equal lines on each side, of `total` in the text before, and
/// joins it with a neighbour that it reaches.
pub(super) fn widen(hunks: &mut Vec<Hunk>, at: usize, lines: usize, total: usize) {
    let floor = at.checked_sub(1).map_or(0, |last| hunks[last].old.end);
    let ceiling = hunks.get(at + 1).map_or(total, |next| next.old.start);
    let hunk = &mut hunks[at];
    let up = lines.min(hunk.old.start - floor);
    let down = lines.min(ceiling - hunk.old.end);
    hunk.old = hunk.old.start - up..hunk.old.end + down;
    hunk.new = hunk.new.start - up..hunk.new.end + down;
    hunks.dedup_by(|next, last| {
        let touches = next.old.start == last.old.end;
        if touches {
            last.old.end = next.old.end;
            last.new.end = next.new.end;
        }
        touches
    });
}

/// One hunk from the first difference to the last.
pub(super) fn span(hunks: &[Hunk]) -> Vec<Hunk> {
    match (hunks.first(), hunks.last()) {
        (Some(first), Some(last)) => vec![Hunk {
            old: first.old.start..last.old.end,
            new: first.new.start..last.new.end,
        }],
        _ => Vec::new(),
    }
}
