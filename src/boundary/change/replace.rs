//! A change as replacements of unique text.

use super::hunks::{Hunk, hunks, span, widen};

/// One replacement: text that occurs exactly once where it is applied, and what takes its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Replacement {
    pub old: String,
    pub new: String,
}

/// Replacements that, applied in order, make `after` of `before`; at most `max` of them. `None`
/// if there is no text to replace.
pub(super) fn replacements(before: &str, after: &str, max: usize) -> Option<Vec<Replacement>> {
    let old: Vec<&str> = before.split_inclusive('\n').collect();
    let new: Vec<&str> = after.split_inclusive('\n').collect();
    let mut hunks = hunks(&old, &new);
    if hunks.len() > max {
        hunks = span(&hunks);
    }
    // Context grows until each old text is unique, twice as fast each time.
    let mut context = 1;
    loop {
        match attempt(before, &old, &new, &hunks) {
            Ok(replacements) => return Some(replacements),
            Err(at) if hunks[at].old == (0..old.len()) => return None,
            Err(at) => widen(&mut hunks, at, context, old.len()),
        }
        context *= 2;
    }
}

/// The replacements for these hunks, or the first hunk whose old text is not unique. It has to be
/// so in the text as it was, and when its turn comes, from the first to the last or backwards:
/// clients make parallel calls in any order.
fn attempt(
    before: &str,
    old: &[&str],
    new: &[&str],
    hunks: &[Hunk],
) -> Result<Vec<Replacement>, usize> {
    let replacements: Vec<Replacement> = hunks
        .iter()
        .map(|hunk| Replacement {
            old: old[hunk.old.clone()].concat(),
            new: new[hunk.new.clone()].concat(),
        })
        .collect();
    let ambiguous = |order: Vec<usize>| {
        let mut text = before.to_owned();
        order.into_iter().find(|at| {
            let Replacement { old, new } = &replacements[*at];
            let unique = is_unique(old, before) && is_unique(old, &text);
            text = text.replacen(old, new, 1);
            !unique
        })
    };
    let forward: Vec<usize> = (0..hunks.len()).collect();
    let backward = forward.iter().rev().copied().collect();
    match ambiguous(forward).or_else(|| ambiguous(backward)) {
        Some(at) => Err(at),
        None => Ok(replacements),
    }
}

fn is_unique(needle: &str, text: &str) -> bool {
    !needle.is_empty()
        && text
            .find(needle)
            .is_some_and(|at| text.rfind(needle) == Some(at))
}
