//! The ids that are most similar to an unknown name.

use super::alias;

/// The least similarity.
const ALIKE: f64 = 0.5;

/// Up to `limit` of `ids`, the most similar to `name` first.
///
/// Compared as written and with the words sorted, since a wrong order is the most common mistake
/// (`sonnet-4.5-thinking`).
#[must_use]
pub fn nearest<'a>(
    name: &str,
    ids: impl IntoIterator<Item = &'a str>,
    limit: usize,
) -> Vec<String> {
    let folded = name.to_lowercase();
    let key = alias::key(&folded);
    let likeness = |id: &str| {
        let spelt = strsim::normalized_damerau_levenshtein(&folded, id);
        spelt.max(strsim::normalized_damerau_levenshtein(
            &key,
            &alias::key(id),
        ))
    };
    let mut found: Vec<(f64, &str)> = ids
        .into_iter()
        .map(|id| (likeness(id), id))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .collect();
    // Stable: equally near ids stay in the list's order.
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    found
        .into_iter()
        .take(limit)
        .map(|(_, id)| id.to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    const IDS: [&str; 5] = [
        "auto",
        "claude-4.5-sonnet",
        "claude-4.5-sonnet-thinking",
        "gpt-5.2-high",
        "gpt-5.3-codex",
    ];

    #[test]
    fn misspellings() {
        assert_eq!(nearest("gpt-5.2-hihg", IDS, 1), ["gpt-5.2-high"]);
        assert_eq!(nearest("GPT-5.3-CODEX", IDS, 1), ["gpt-5.3-codex"]);
        assert_eq!(
            nearest("sonnet-4.5-thinkng", IDS, 1),
            ["claude-4.5-sonnet-thinking"]
        );
        assert!(nearest("quite-something-else", IDS, 5).is_empty());
        assert!(nearest("", IDS, 5).is_empty());
    }
}
