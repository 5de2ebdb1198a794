//! Parses model ids: `claude-opus-5-thinking-high-fast` is family `claude-opus-5`, thinking,
//! effort high, fast.
//!
//! Only the id counts, so that it belongs to the same family on every account. A family's name may or may not be an id itself (`gpt-5.2` is, `claude-opus-5` is not).
//!
//! ```text
//! id      = family *( "-" mark )        marks in any order, each kind at most once
//! mark    = effort / "thinking" / "fast" / "preview" / context
//! effort  = "none" / "minimal" / "low" / "medium" / "high" / "xhigh" / "extra-high" / "max"
//! context = 1*DIGIT ( "k" / "m" )
//! ```

/// The reasoning effort, in rising order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effort {
    /// Not at all.
    None,
    /// Hardly.
    Minimal,
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// High.
    High,
    /// Extra high.
    XHigh,
    /// The most there is.
    Max,
}

impl Effort {
    /// Reads an effort as ids and `reasoning_effort` spell it.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "none" => Self::None,
            "minimal" => Self::Minimal,
            "low" => Self::Low,
            "medium" => Self::Medium,
            "high" => Self::High,
            "xhigh" | "extra-high" | "extra_high" => Self::XHigh,
            "max" => Self::Max,
            _ => return None,
        })
    }
}

/// The marks of an id. What it does not state is the family's default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Marks {
    /// The effort.
    pub effort: Option<Effort>,
    /// The variant with visible thinking.
    pub thinking: bool,
    /// The faster, more expensive service of the same model.
    pub fast: bool,
    /// Not a final release.
    pub preview: bool,
    /// A context window, such as `1m`.
    pub context: Option<String>,
}

impl Marks {
    /// Reads a variant such as `thinking-high`; `None` if a word of it is not a mark.
    #[must_use]
    pub fn parse(variant: &str) -> Option<Self> {
        let folded = variant.to_ascii_lowercase();
        let words: Vec<&str> = folded.split('-').collect();
        let (marks, rest) = take(&words);
        (rest == 0).then_some(marks)
    }

    /// Whether it has everything that `wanted` states.
    #[must_use]
    pub fn meet(&self, wanted: &Self) -> bool {
        (wanted.effort.is_none() || wanted.effort == self.effort)
            && (self.thinking || !wanted.thinking)
            && (self.fast || !wanted.fast)
            && (self.preview || !wanted.preview)
            && (wanted.context.is_none() || wanted.context == self.context)
    }
}

/// A parsed id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelId {
    /// The family: the id without its marks.
    pub family: String,
    /// The marks as the id spells them (`thinking-high`); empty for a bare family name.
    pub variant: String,
    /// The same, read.
    pub marks: Marks,
}

impl ModelId {
    /// Parses an id. Never fails: an id without marks is a family.
    #[must_use]
    pub fn parse(id: &str) -> Self {
        let words: Vec<&str> = id.split('-').collect();
        // The first word is a name, whatever it looks like.
        let (marks, rest) = take(&words[1..]);
        Self {
            family: words[..=rest].join("-"),
            variant: words[rest + 1..].join("-"),
            marks,
        }
    }
}

/// Reads marks from the end of `words`: the marks, and how many words are left before them.
fn take(words: &[&str]) -> (Marks, usize) {
    let mut marks = Marks::default();
    let mut left = words.len();
    while let Some(word) = words[..left].last() {
        let before = left.checked_sub(2).map(|i| words[i]);
        let taken = match (*word, before) {
            // OpenAI's "Codex Max" is a model, not an effort of Codex.
            ("max", Some("codex")) => 0,
            ("high", Some("extra")) => set(&mut marks.effort, Effort::XHigh, 2),
            ("thinking", _) => flag(&mut marks.thinking),
            ("fast", _) => flag(&mut marks.fast),
            ("preview", _) => flag(&mut marks.preview),
            (context, _) if is_context(context) => set(&mut marks.context, context.to_owned(), 1),
            (effort, _) => match Effort::parse(effort) {
                Some(effort) => set(&mut marks.effort, effort, 1),
                None => 0,
            },
        };
        if taken == 0 {
            break;
        }
        left -= taken;
    }
    (marks, left)
}

fn set<T>(slot: &mut Option<T>, value: T, words: usize) -> usize {
    if slot.is_some() {
        return 0;
    }
    *slot = Some(value);
    words
}

fn flag(slot: &mut bool) -> usize {
    usize::from(!std::mem::replace(slot, true))
}

fn is_context(word: &str) -> bool {
    word.strip_suffix(['k', 'm'])
        .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn families_and_variants() {
        for (id, family, variant) in [
            ("auto", "auto", ""),
            ("composer-2.5", "composer-2.5", ""),
            ("composer-2.5-fast", "composer-2.5", "fast"),
            ("gpt-5.2", "gpt-5.2", ""),
            ("gpt-5-mini", "gpt-5-mini", ""),
            ("gpt-5.4-mini-xhigh", "gpt-5.4-mini", "xhigh"),
            ("gpt-5.5-extra-high-fast", "gpt-5.5", "extra-high-fast"),
            ("gpt-5.3-codex-high-fast", "gpt-5.3-codex", "high-fast"),
            ("gpt-5.1-codex-max", "gpt-5.1-codex-max", ""),
            (
                "gpt-5.1-codex-max-medium-fast",
                "gpt-5.1-codex-max",
                "medium-fast",
            ),
            (
                "gpt-5.3-codex-spark-preview-xhigh",
                "gpt-5.3-codex-spark",
                "preview-xhigh",
            ),
            ("claude-opus-4-7-max", "claude-opus-4-7", "max"),
            (
                "claude-opus-5-5-thinking-high-fast",
                "claude-opus-5-5",
                "thinking-high-fast",
            ),
            (
                "claude-4.6-opus-high-thinking-fast",
                "claude-4.6-opus",
                "high-thinking-fast",
            ),
            ("claude-4.5-sonnet", "claude-4.5-sonnet", ""),
            ("sonnet-4-1m", "sonnet-4", "1m"),
            ("grok-4.5-fast-xhigh", "grok-4.5", "fast-xhigh"),
            ("grok-4-20-thinking", "grok-4-20", "thinking"),
            ("gemini-3.6-flash-minimal", "gemini-3.6-flash", "minimal"),
            ("gemini-3-flash", "gemini-3-flash", ""),
            ("gemini-3-pro", "gemini-3-pro", ""),
            ("kimi-k3-max", "kimi-k3", "max"),
            ("kimi-k2.7-code", "kimi-k2.7-code", ""),
            ("fast", "fast", ""),
            ("high-high-high", "high-high", "high"),
            ("", "", ""),
        ] {
            let read = ModelId::parse(id);
            assert_eq!(
                (read.family.as_str(), read.variant.as_str()),
                (family, variant),
                "{id}"
            );
        }
    }

    #[test]
    fn marks_are_read() {
        assert_eq!(
            ModelId::parse("claude-4.6-opus-extra-high-thinking-fast").marks,
            Marks {
                effort: Some(Effort::XHigh),
                thinking: true,
                fast: true,
                ..Marks::default()
            }
        );
        assert_eq!(
            Marks::parse("thinking-1m").map(|m| m.context),
            Some(Some("1m".into()))
        );
        assert_eq!(Marks::parse("banana"), None);
        assert_eq!(Marks::parse("banana-high"), None);
        assert_eq!(Marks::parse("high-low"), None);
    }

    proptest! {
        #[test]
        fn nothing_is_lost(id in "([a-z0-9.]{0,5}-|high-|extra-|max-|codex-|1m-){0,6}[a-z0-9.]{0,5}") {
            let read = ModelId::parse(&id);
            let joined = if read.variant.is_empty() {
                read.family.clone()
            } else {
                format!("{}-{}", read.family, read.variant)
            };
            prop_assert_eq!(joined, id);
            prop_assert!(read.variant.is_empty() || Marks::parse(&read.variant) == Some(read.marks));
        }
    }
}
