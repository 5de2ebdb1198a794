//! Which model a request means.
//!
//! ```text
//! cursorModel, else model without its provider prefix, else "auto"
//!   exact id            gpt-5.5-high                   an effort it does not state may be chosen
//!   model:variant       claude-opus-5:thinking
//!   family              claude-opus-5, claude-opus-5-fast
//!   another spelling    sonnet-4.5, claude-opus-4.8, gpt-5.5-xhigh
//!   parameters          claude-opus-4-8[effort=high]   left to the CLI
//! ```
//!
//! A name is only ever turned into an id of the account's list. Where the list is not the account's
//! own of today, what is not in it is handed on as it is: the CLI decides, and says so.

use super::alias;
use super::family::Family;
use super::id::{Effort, Marks, ModelId};
use super::nearest::nearest;

/// The id by which Cursor chooses the model itself. It exists on every account.
pub const AUTO: &str = "auto";

/// How many near names an [`UnknownModel`] holds at most.
const NEAREST: usize = 5;

/// What a request says about its model.
#[derive(Debug, Clone, Copy, Default)]
pub struct Request<'a> {
    /// The OpenAI field `model`, a provider's prefix allowed.
    pub model: Option<&'a str>,
    /// The extra field `cursorModel`, which wins and is meant literally: no effort changes it.
    pub cursor_model: Option<&'a str>,
    /// The OpenAI field `reasoning_effort`. Clients send it for models without any, so it chooses
    /// only where the family has it.
    pub reasoning_effort: Option<&'a str>,
}

/// A name that stands for no model of the account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no model {name:?}{}", self.hint())]
pub struct UnknownModel {
    /// The name as asked for, without its prefix.
    pub name: String,
    /// The likest ids, best first; may be empty.
    pub nearest: Vec<String>,
}

impl UnknownModel {
    fn hint(&self) -> String {
        if self.nearest.is_empty() {
            "; `open-cursor models` lists what there is".to_owned()
        } else {
            format!("; did you mean {}?", self.nearest.join(", "))
        }
    }
}

/// The id to give the agent.
///
/// `complete` says whether `families` are all that the account has today.
///
/// # Errors
/// When the name means none of them and they are complete, or can be no model's name at all.
pub fn resolve(
    request: Request<'_>,
    families: &[Family],
    complete: bool,
) -> Result<String, UnknownModel> {
    let (name, effort) = match (named(request.cursor_model), named(request.model)) {
        (Some(literal), _) => (literal, None),
        (None, Some(model)) => (model, request.reasoning_effort.and_then(Effort::parse)),
        (None, None) => (AUTO, None),
    };
    let found = find(name, effort, families);
    let handed_on = || (!complete && is_plausible(name)).then(|| name.to_owned());
    found.or_else(handed_on).ok_or_else(|| UnknownModel {
        name: name.to_owned(),
        nearest: nearest(name, ids(families), NEAREST),
    })
}

fn named(field: Option<&str>) -> Option<&str> {
    field
        .map(|name| without_prefix(name.trim()))
        .filter(|name| !name.is_empty())
}

fn ids(families: &[Family]) -> impl Iterator<Item = &str> {
    families
        .iter()
        .flat_map(|f| &f.members)
        .map(|m| m.model.id.as_str())
}

fn find(name: &str, effort: Option<Effort>, families: &[Family]) -> Option<String> {
    if let Some((base, _)) = name.split_once('[') {
        let known = is_plausible(name) && find(base, None, families).is_some();
        return known.then(|| name.to_owned());
    }
    let exact = ids(families).find(|id| id.eq_ignore_ascii_case(name));
    let folded = name.to_ascii_lowercase();
    let (base, mut wanted) = match (exact, folded.split_once(':')) {
        (None, Some((base, variant))) => (ModelId::parse(base), Marks::parse(variant)?),
        _ => (ModelId::parse(&folded), Marks::default()),
    };
    let family = family(&base.family, families)?;
    merge(&mut wanted, &base.marks);
    let chosen = match (effort, exact) {
        (Some(_), _) if wanted.effort.is_none() => {
            let effortful = Marks {
                effort,
                ..wanted.clone()
            };
            // Faster is dearer, so never unasked.
            family.best(|marks| marks.meet(&effortful) && marks.fast == wanted.fast)
        }
        _ => None,
    };
    chosen
        .map(|member| member.model.id.as_str())
        .or(exact)
        .or_else(|| by_marks(family, &wanted))
        .map(str::to_owned)
}

/// The member that a name's marks point at: only the effort may be left open, unless the name is
/// the bare family's.
fn by_marks<'a>(family: &'a Family, wanted: &Marks) -> Option<&'a str> {
    let member = if *wanted == Marks::default() {
        family.default()
    } else {
        family.best(|marks| {
            marks.meet(wanted) && marks.fast == wanted.fast && marks.thinking == wanted.thinking
        })?
    };
    Some(&member.model.id)
}

fn family<'a>(name: &str, families: &'a [Family]) -> Option<&'a Family> {
    let key = alias::key(name);
    let spelt_so = |f: &&Family| f.name.eq_ignore_ascii_case(name);
    let same_words = |f: &&Family| !key.is_empty() && alias::key(&f.name) == key;
    families
        .iter()
        .find(spelt_so)
        .or_else(|| families.iter().find(same_words))
}

/// Adds to a variant what the name before the colon states, unless the variant says otherwise.
fn merge(wanted: &mut Marks, base: &Marks) {
    wanted.effort = wanted.effort.or(base.effort);
    wanted.thinking |= base.thinking;
    wanted.fast |= base.fast;
    wanted.preview |= base.preview;
    if wanted.context.is_none() {
        wanted.context.clone_from(&base.context);
    }
}

/// No Cursor id has a slash, so whatever is before one is a provider's name.
fn without_prefix(name: &str) -> &str {
    let end = name.find('[').unwrap_or(name.len());
    name[..end]
        .rfind('/')
        .map_or(name, |slash| &name[slash + 1..])
}

/// Whether a name may stand behind `--model`: one word, no option.
fn is_plausible(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.len() <= 200
        && name.bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::models::family::group;
    use crate::models::list::parse;
    use proptest::prelude::*;

    const LIST: &str = "auto - Auto (default)
composer-2.5 - Composer 2.5
composer-2.5-fast - Composer 2.5 Fast
gpt-5.2 - GPT-5.2
gpt-5.2-low - GPT-5.2 Low
gpt-5.2-high - GPT-5.2 High
gpt-5.2-high-fast - GPT-5.2 High Fast
gpt-5.2-fast - GPT-5.2 Fast
gpt-5.2-xhigh-fast - GPT-5.2 Extra High Fast
gpt-5.5-medium - GPT-5.5 1M
gpt-5.5-extra-high - GPT-5.5 1M Extra High
claude-4.5-sonnet - Claude Sonnet 4.5
claude-4.5-sonnet-thinking - Claude Sonnet 4.5 Thinking
claude-4.5-opus-high - Claude Opus 4.5
claude-4.5-opus-high-thinking - Claude Opus 4.5 Thinking
claude-opus-5-low - Claude Opus 5 1M Low
claude-opus-5-high - Claude Opus 5 1M
claude-opus-5-high-fast - Claude Opus 5 1M Fast
claude-opus-5-thinking-high - Claude Opus 5 1M Thinking
claude-opus-5-thinking-xhigh - Claude Opus 5 1M Extra High Thinking
cursor-grok-4.6-high - Cursor Grok 4.6
";

    fn families() -> Vec<Family> {
        group(&parse(LIST).unwrap())
    }

    fn model(name: &str, effort: Option<&str>) -> Result<String, UnknownModel> {
        let request = Request {
            model: Some(name),
            reasoning_effort: effort,
            ..Request::default()
        };
        resolve(request, &families(), true)
    }

    #[test]
    fn names() {
        for (name, id) in [
            ("auto", "auto"),
            ("", "auto"),
            ("  ", "auto"),
            ("cursor-acp/auto", "auto"),
            ("cursor-acp/", "auto"),
            ("cursor/gpt-5.2-high", "gpt-5.2-high"),
            ("anyone/at/all/gpt-5.2", "gpt-5.2"),
            ("GPT-5.2", "gpt-5.2"),
            ("gpt-5.2:high", "gpt-5.2-high"),
            ("gpt-5.2-fast:high", "gpt-5.2-high-fast"),
            ("gpt-5.2:fast-high", "gpt-5.2-high-fast"),
            ("claude-opus-5", "claude-opus-5-high"),
            ("claude-opus-5:thinking", "claude-opus-5-thinking-high"),
            ("claude-opus-5-fast", "claude-opus-5-high-fast"),
            ("gpt-5.5-xhigh", "gpt-5.5-extra-high"),
            ("sonnet-4.5", "claude-4.5-sonnet"),
            ("sonnet-4.5-thinking", "claude-4.5-sonnet-thinking"),
            ("claude-sonnet-4-5-20250929", "claude-4.5-sonnet"),
            ("anthropic/claude-sonnet-4.5", "claude-4.5-sonnet"),
            ("opus-4.5", "claude-4.5-opus-high"),
            ("opus-4.5-thinking", "claude-4.5-opus-high-thinking"),
            ("grok-4.6", "cursor-grok-4.6-high"),
            (
                "claude-opus-5[context=1m,fast=false]",
                "claude-opus-5[context=1m,fast=false]",
            ),
            ("cursor-acp/gpt-5.2[a=b/c]", "gpt-5.2[a=b/c]"),
        ] {
            assert_eq!(model(name, None).as_deref(), Ok(id), "{name}");
        }
    }

    #[test]
    fn unknown_names() {
        for name in [
            "claude-opus-5-xhigh",    // only the thinking one
            "claude-4.5-sonnet-high", // an effort it has not
            "composer-2.5-low",
            "gpt-5.2:banana",
            "sonnet-9",
            "sonnet-9[effort=high]",
            "gpt-5.2[effort=high] --force",
            "--force",
            "grok",
            "claude",
            ":",
            "a:b:c",
        ] {
            assert!(model(name, None).is_err(), "{name} {:?}", model(name, None));
        }
        let error = model("gpt-5.2-hihg", None).unwrap_err();
        assert_eq!(error.nearest[0], "gpt-5.2-high");
        assert_eq!(
            error.to_string().split(',').next(),
            Some("there is no model \"gpt-5.2-hihg\"; did you mean gpt-5.2-high")
        );
    }

    #[test]
    fn efforts_choose_where_they_may() {
        for (name, effort, id) in [
            ("gpt-5.2", "high", "gpt-5.2-high"),
            ("gpt-5.2-fast", "high", "gpt-5.2-high-fast"),
            ("gpt-5.2", "medium", "gpt-5.2"),
            ("gpt-5.2", "xhigh", "gpt-5.2"), // only a fast one, which costs more
            ("gpt-5.2-low", "high", "gpt-5.2-low"),
            ("gpt-5.5", "xhigh", "gpt-5.5-extra-high"),
            ("gpt-5.5", "low", "gpt-5.5-medium"),
            ("claude-opus-5", "low", "claude-opus-5-low"),
            ("claude-opus-5", "xhigh", "claude-opus-5-thinking-xhigh"),
            ("claude-4.5-sonnet", "high", "claude-4.5-sonnet"),
            (
                "claude-4.5-sonnet-thinking",
                "high",
                "claude-4.5-sonnet-thinking",
            ),
            ("composer-2.5", "high", "composer-2.5"),
            ("auto", "high", "auto"),
            ("gpt-5.2", "banana", "gpt-5.2"),
        ] {
            assert_eq!(
                model(name, Some(effort)).as_deref(),
                Ok(id),
                "{name} {effort}"
            );
        }
    }

    #[test]
    fn the_literal_field_wins() {
        let request = Request {
            model: Some("cursor-acp/gpt-5.5"),
            cursor_model: Some(" gpt-5.2 "),
            reasoning_effort: Some("high"),
        };
        assert_eq!(
            resolve(request, &families(), true).as_deref(),
            Ok("gpt-5.2")
        );
        let blank = Request {
            cursor_model: Some(" "),
            ..request
        };
        assert_eq!(
            resolve(blank, &families(), true).as_deref(),
            Ok("gpt-5.5-medium")
        );
    }

    #[test]
    fn an_incomplete_list_lets_names_through() {
        let named = |name| Request {
            model: Some(name),
            ..Request::default()
        };
        let handed = |name| resolve(named(name), &families(), false);
        assert_eq!(handed("gpt-9-turbo").as_deref(), Ok("gpt-9-turbo"));
        assert_eq!(handed("sonnet-4.5").as_deref(), Ok("claude-4.5-sonnet"));
        assert_eq!(
            resolve(named("x[y=z]"), &[], false).as_deref(),
            Ok("x[y=z]")
        );
        assert_eq!(
            resolve(Request::default(), &[], false).as_deref(),
            Ok("auto")
        );
        for hostile in ["--force", "a b", "a\nb", "-"] {
            assert!(handed(hostile).is_err(), "{hostile:?}");
        }
    }

    proptest! {
        /// Every listed id means itself, and what a complete list answers is in it.
        #[test]
        fn answers_are_listed(name in "\\PC{0,40}", effort in proptest::option::of("[a-z]{0,6}")) {
            let families = families();
            if let Ok(id) = model(&name, effort.as_deref()) {
                let base = id.split('[').next().unwrap_or_default();
                prop_assert!(id.contains('[') || ids(&families).any(|known| known == base));
            }
        }
    }

    #[test]
    fn listed_ids_mean_themselves() {
        for id in ids(&families()) {
            assert_eq!(model(id, None).as_deref(), Ok(id));
        }
    }
}
