//! Reads what `cursor-agent models` prints (SCHEMA 5).
//!
//! ```text
//! Available models
//!
//! auto - Auto (default)
//! claude-opus-5-high - Claude Opus 5 1M
//!
//! Tip: use --model <id> …
//! ```
//!
//! Must not know what an id means.

use std::collections::HashSet;

/// One model of the account, as the CLI lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedModel {
    /// The value for `--model`: letters, digits, `.`, `_`, `-`.
    pub id: String,
    /// The CLI's display name, its `(current)` and `(default)` marks taken off.
    pub label: String,
}

/// Why there is no list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// The CLI reports that the account has none.
    #[error("Cursor offers no models for this account; check the login with `cursor-agent status`")]
    Empty,
    /// No line looks like a model.
    #[error("cannot parse the agent's list of models; it begins with {head:?}")]
    Unreadable {
        /// The first words of the output.
        head: String,
    },
}

/// The models in the output of `cursor-agent models`, in its order, each id once.
///
/// Headers, tips, blank lines and other text are skipped.
///
/// # Errors
/// When no row was found.
pub fn parse(output: &str) -> Result<Vec<ListedModel>, ListError> {
    let plain = anstream::adapter::strip_str(output).to_string();
    let mut seen = HashSet::new();
    let models: Vec<ListedModel> = plain
        .lines()
        .filter_map(row)
        .filter(|model| seen.insert(model.id.clone()))
        .collect();
    if !models.is_empty() {
        return Ok(models);
    }
    if plain.to_lowercase().contains("no models available") {
        return Err(ListError::Empty);
    }
    let head = plain.split_whitespace().take(12).collect::<Vec<_>>();
    Err(ListError::Unreadable {
        head: head.join(" ").chars().take(120).collect(),
    })
}

fn row(line: &str) -> Option<ListedModel> {
    let (id, rest) = line.trim().split_once(char::is_whitespace)?;
    let mut label = rest.trim_start().strip_prefix('-')?;
    if !is_id(id) || !label.starts_with(char::is_whitespace) {
        return None;
    }
    while let Some(before) = before_marks(label) {
        label = before;
    }
    // A label may hold two spaces in a row ("Grok 4.7  Low").
    let label = label.split_whitespace().collect::<Vec<_>>().join(" ");
    (!label.is_empty()).then(|| ListedModel {
        id: id.to_owned(),
        label,
    })
}

/// `Auto` of `Auto (current, default)`. Other brackets, such as `(NO ZDR)`, are part of the label.
fn before_marks(label: &str) -> Option<&str> {
    let (before, marks) = label.trim_end().strip_suffix(')')?.rsplit_once('(')?;
    let known = |mark: &str| matches!(mark.trim(), "current" | "default");
    marks.split(',').all(known).then_some(before)
}

fn is_id(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_alphanumeric())
        && word
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn one(line: &str) -> Option<(String, String)> {
        row(line).map(|m| (m.id, m.label))
    }

    #[test]
    fn rows() {
        let some = |id: &str, label: &str| Some((id.to_owned(), label.to_owned()));
        assert_eq!(one("auto - Auto"), some("auto", "Auto"));
        assert_eq!(one("auto - Auto (current, default)"), some("auto", "Auto"));
        assert_eq!(
            one("  auto  -  Auto (current) (default) "),
            some("auto", "Auto")
        );
        assert_eq!(
            one("grok-4.7-low - Grok 4.7  Low"),
            some("grok-4.7-low", "Grok 4.7 Low")
        );
        assert_eq!(
            one("x - Fable 5 1M (NO ZDR) (default)"),
            some("x", "Fable 5 1M (NO ZDR)")
        );
        for line in [
            "Available models",
            "Loading models…",
            "Tip: use --model <id> - or not",
            "* baz - Baz",
            "x:y - no",
            "-x - no",
            "id -no",
            "id - ",
            "id - (default)",
            "",
        ] {
            assert_eq!(one(line), None, "{line}");
        }
    }

    #[test]
    fn colours_and_repeats_are_passed_over() {
        let text = "\u{1b}[2mAvailable models\u{1b}[22m\n\n\
            \u{1b}[32mauto\u{1b}[39m \u{1b}[2m- Auto\u{1b}[22m\u{1b}[2m (current, default)\u{1b}[22m\r\n\
            \u{1b}[36mm-low\u{1b}[39m \u{1b}[2m- M Low\u{1b}[22m\nm-low - again\n";
        let models = parse(text).unwrap();
        assert_eq!(models.len(), 2);
        assert_eq!(models[0].label, "Auto");
        assert_eq!(models[1].label, "M Low");
    }

    #[test]
    fn no_rows() {
        let none = "Loading models…\nNo models available for this account.\n";
        assert_eq!(parse(none), Err(ListError::Empty));
        assert!(matches!(
            parse("Authentication required. Run 'agent login'"),
            Err(ListError::Unreadable { head }) if head.starts_with("Authentication")
        ));
    }
}
