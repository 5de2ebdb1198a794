//! Groups a list into families, and chooses the model that each family's name stands for.

use super::{
    id::{Effort, Marks, ModelId},
    list::ListedModel,
};

/// The members of a family that an account has; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family {
    /// The family's name; see [`ModelId`].
    pub name: String,
    /// In the list's order.
    pub members: Vec<Member>,
}

/// A listed model and its parsed id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The model.
    pub model: ListedModel,
    /// Its id's suffix as spelt; empty for the bare family name.
    pub variant: String,
    /// The suffix, read.
    pub marks: Marks,
}

/// The families of a list, in the order of their first members.
///
/// Stable: leaving models out of `models` leaves them out of their families and changes no other.
#[must_use]
pub fn group(models: &[ListedModel]) -> Vec<Family> {
    let mut families: Vec<Family> = Vec::new();
    for model in models {
        let ModelId {
            family,
            variant,
            marks,
        } = ModelId::parse(&model.id);
        let member = Member {
            model: model.clone(),
            variant,
            marks,
        };
        match families.iter_mut().find(|f| f.name == family) {
            Some(known) => known.members.push(member),
            None => families.push(Family {
                name: family,
                members: vec![member],
            }),
        }
    }
    families
}

impl Family {
    /// The member that the family's bare name means.
    ///
    /// An id equal to the name; else the one whose label states no effort, which is how the CLI
    /// shows a model's own default ("Claude Opus 5 1M" is `claude-opus-5-high`); else medium,
    /// high, and so on. Plain before thinking before fast.
    #[must_use]
    pub fn default(&self) -> &Member {
        self.best(|_| true).unwrap_or(&self.members[0])
    }

    /// Of the members whose marks are right, the one nearest to the family's default.
    pub fn best(&self, right: impl Fn(&Marks) -> bool) -> Option<&Member> {
        self.members
            .iter()
            .filter(|member| right(&member.marks))
            .min_by_key(|member| rank(member))
    }

    /// The family's display name: its default's label without the words that tell members apart.
    #[must_use]
    pub fn label(&self) -> String {
        self.default().plain_label().0
    }

    /// The members that the bare name leaves out, mildest first: plain before thinking, by effort,
    /// slow before fast.
    #[must_use]
    pub fn variants(&self) -> Vec<&Member> {
        let mut variants: Vec<&Member> = self
            .members
            .iter()
            .filter(|member| !member.variant.is_empty())
            .collect();
        variants.sort_by_key(|Member { marks, .. }| {
            (marks.thinking, marks.preview, marks.effort, marks.fast)
        });
        variants
    }

    /// Whether the name covers more than one id of that very name.
    #[must_use]
    pub fn has_variants(&self) -> bool {
        self.members.iter().any(|member| !member.variant.is_empty())
    }

    /// Whether the family's ids differ in effort or thinking, so that it reasons.
    #[must_use]
    pub fn reasons(&self) -> bool {
        let reasoning = |m: &Member| m.marks.thinking || m.marks.effort > Some(Effort::None);
        self.members.iter().any(reasoning)
    }
}

impl Member {
    /// The label without effort, thinking, fast and context words, and whether it stated an effort.
    fn plain_label(&self) -> (String, bool) {
        let (name, note) = match self.model.label.split_once(" (") {
            Some((name, note)) => (name, format!(" ({note}")),
            None => (self.model.label.as_str(), String::new()),
        };
        let words: Vec<&str> = name.split(' ').collect();
        let mut left = words.len();
        let mut effort = false;
        while left > 1 {
            let before = words[left - 2];
            left -= match words[left - 1].to_ascii_lowercase().as_str() {
                // Not an effort: the "Max" of "Codex 5.1 Max".
                "max" if ModelId::parse(&self.model.id).family.ends_with("codex-max") => break,
                "high" if before == "Extra" && left > 2 => {
                    effort = true;
                    2
                }
                word if Effort::parse(word).is_some() => {
                    effort = true;
                    1
                }
                "thinking" | "fast" => 1,
                word if label_context(word).is_some() => 1,
                _ => break,
            };
        }
        (words[..left].join(" ") + &note, effort)
    }

    /// The context window that the label states ("Claude Opus 5 1M"), in tokens.
    #[must_use]
    pub fn stated_context(&self) -> Option<u64> {
        self.model
            .label
            .split(' ')
            .find_map(|word| label_context(&word.to_ascii_lowercase()))
    }
}

fn label_context(word: &str) -> Option<u64> {
    let (digits, unit) = match word.strip_suffix('m') {
        Some(digits) => (digits, 1_000_000),
        None => (word.strip_suffix('k')?, 1_000),
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

fn rank(member: &Member) -> impl Ord + use<> {
    let marks = &member.marks;
    let effort = match marks.effort {
        None => 0,
        Some(Effort::Medium) => 1,
        Some(Effort::High) => 2,
        Some(Effort::Low) => 3,
        Some(Effort::XHigh) => 4,
        Some(Effort::Max) => 5,
        Some(Effort::Minimal) => 6,
        Some(Effort::None) => 7,
    };
    (
        !member.variant.is_empty(),
        marks.fast,
        marks.preview,
        marks.thinking,
        marks.context.is_some(),
        member.plain_label().1,
        effort,
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::models::list::parse;
    use proptest::prelude::*;

    fn families(lines: &str) -> Vec<Family> {
        group(&parse(lines).unwrap())
    }

    fn defaults(lines: &str) -> Vec<(String, String, String)> {
        families(lines)
            .iter()
            .map(|f| (f.name.clone(), f.default().model.id.clone(), f.label()))
            .collect()
    }

    #[test]
    fn defaults_and_labels() {
        let found = defaults(
            "auto - Auto (default)\n\
             gpt-5.3-codex-low - Codex 5.3 Low\n\
             gpt-5.3-codex - Codex 5.3\n\
             gpt-5.1-codex-max-medium - Codex 5.1 Max\n\
             gpt-5.1-codex-max-xhigh-fast - Codex 5.1 Max Extra High Fast\n\
             gpt-5.5-high - GPT-5.5 1M High\n\
             gpt-5.5-medium-fast - GPT-5.5 Fast\n\
             gpt-5.5-medium - GPT-5.5 1M\n\
             claude-fable-5-thinking-high - Claude Fable 5 1M Thinking (NO ZDR)\n\
             claude-fable-5-low - Claude Fable 5 1M Low (NO ZDR)\n\
             claude-fable-5-high - Claude Fable 5 1M (NO ZDR)\n\
             kimi-k3-low - Kimi K3 Low\n\
             kimi-k3-max - Kimi K3\n\
             grok-4.7-low - Grok 4.7  Low\n\
             grok-4.7-medium - Grok 4.7  Medium\n",
        );
        let expected = [
            ("auto", "auto", "Auto"),
            ("gpt-5.3-codex", "gpt-5.3-codex", "Codex 5.3"),
            (
                "gpt-5.1-codex-max",
                "gpt-5.1-codex-max-medium",
                "Codex 5.1 Max",
            ),
            ("gpt-5.5", "gpt-5.5-medium", "GPT-5.5"),
            (
                "claude-fable-5",
                "claude-fable-5-high",
                "Claude Fable 5 (NO ZDR)",
            ),
            ("kimi-k3", "kimi-k3-max", "Kimi K3"),
            ("grok-4.7", "grok-4.7-medium", "Grok 4.7"),
        ];
        let expected = expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
        assert_eq!(found, expected);
    }

    #[test]
    fn one_of_a_family_is_still_of_it() {
        let alone = families("composer-2.5-fast - Composer 2.5 Fast\n");
        assert_eq!(alone[0].name, "composer-2.5");
        assert!(alone[0].has_variants());
        assert!(!alone[0].reasons());
        assert!(!families("composer-2.5 - Composer 2.5\n")[0].has_variants());
        assert!(families("glm-5.2-max - GLM 5.2 Max\n")[0].reasons());
        assert!(!families("gpt-5.6-none - GPT 5.6 None\n")[0].reasons());
    }

    #[test]
    fn labels_state_contexts() {
        let context = |label: &str| {
            let list = format!("x - {label}\n");
            families(&list)[0].members[0].stated_context()
        };
        assert_eq!(context("Claude Opus 5 1M Thinking"), Some(1_000_000));
        assert_eq!(context("Sonnet 4 200K"), Some(200_000));
        assert_eq!(context("Claude Opus 4.5"), None);
        assert_eq!(context("Kimi K3"), None);
    }

    /// Ids that try the grammar: every mark, doubled marks, names that look like marks.
    fn id() -> impl Strategy<Value = String> {
        let word =
            "auto|gpt|5\\.5|codex|max|extra|high|xhigh|low|none|thinking|fast|preview|1m|opus|4";
        proptest::collection::vec(word, 1..6).prop_map(|words| words.join("-"))
    }

    proptest! {
        /// The grouping of any part of a list is the grouping of the list, restricted to the part.
        #[test]
        fn grouping_is_stable(
            ids in proptest::collection::hash_set(id(), 1..40),
            keep in proptest::collection::vec(any::<bool>(), 40),
        ) {
            let all: Vec<ListedModel> = ids
                .iter()
                .map(|id| ListedModel { id: id.clone(), label: id.clone() })
                .collect();
            let kept = |model: &ListedModel| all.iter().position(|m| m == model).is_some_and(|i| keep[i]);
            let part: Vec<ListedModel> = all.iter().filter(|m| kept(m)).cloned().collect();

            let mut restricted = group(&all);
            for family in &mut restricted {
                family.members.retain(|m| kept(&m.model));
            }
            restricted.retain(|f| !f.members.is_empty());

            let mut grouped = group(&part);
            let by_name = |a: &Family, b: &Family| a.name.cmp(&b.name);
            grouped.sort_by(by_name);
            restricted.sort_by(by_name);
            prop_assert_eq!(grouped, restricted);
        }
    }
}
