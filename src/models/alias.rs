//! One spelling for the many of a model's name.
//!
//! Cursor has renamed its models over time (`sonnet-4.5`, `claude-4.5-sonnet`, `claude-opus-4-8`,
//! `grok-4.5-high`, `cursor-grok-4.5-high`), and vendors date theirs
//! (`claude-sonnet-4-5-20250929`). The words are the same; their order, the maker's name, the dot
//! and the date are not. Names that fold to one key are spellings of one family.

/// The words of a family's name in a fixed order, without maker and date.
///
/// Empty when nothing but those is left, which matches no family.
pub(super) fn key(family: &str) -> String {
    let folded = family.to_ascii_lowercase();
    let mut words: Vec<String> = Vec::new();
    for word in folded.split(['-', '_', ' ']) {
        match word {
            "" | "claude" | "cursor" | "latest" => {}
            date if is_number(date) && date.len() == 8 => {}
            // "4-8" is 4.8, but "4.6-8" is not a number.
            minor if is_number(minor) && words.last().is_some_and(|w| is_number(w)) => {
                if let Some(major) = words.last_mut() {
                    major.push('.');
                    major.push_str(minor);
                }
            }
            other => words.push(other.to_owned()),
        }
    }
    words.sort();
    words.join(" ")
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::key;

    #[test]
    fn spellings_of_one_family() {
        for (a, b) in [
            ("claude-4.5-sonnet", "sonnet-4.5"),
            ("claude-opus-4-8", "opus-4.8"),
            ("claude-4.6-opus", "Claude-Opus-4-6"),
            ("claude-sonnet-4-5-20250929", "sonnet-4.5"),
            ("cursor-grok-4.5", "grok-4.5"),
            ("grok-4-20", "grok-4.20"),
            ("claude-fable-5-1", "fable-5.1"),
        ] {
            assert_eq!(key(a), key(b), "{a} {b}");
        }
        for (a, b) in [
            ("claude-4-sonnet", "claude-4.5-sonnet"),
            ("claude-opus-5", "claude-opus-5-5"),
            ("gpt-5.1-codex", "gpt-5.1-codex-max"),
            ("gemini-3-flash", "gemini-3-pro"),
            ("gpt-5-mini", "gpt-5"),
        ] {
            assert_ne!(key(a), key(b), "{a} {b}");
        }
        assert_eq!(key("claude"), "");
        assert_eq!(key(""), "");
    }
}
