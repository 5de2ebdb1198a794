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
//! A name is only turned into an id of the account's list. If the list may be out of date, a name that
//! is not in it is passed to the CLI unchanged, which accepts or refuses it.

use super::{
    alias,
    family::Family,
    id::{Effort, Marks, ModelId},
    nearest::nearest,
};

/// The id by which Cursor chooses the model itself. It exists on every account.
pub const AUTO: &str = "auto";

/// How many similar names an [`UnknownModel`] holds at most.
const NEAREST: usize = 5;

/// The fields of a request that choose its model.
#[derive(Debug, Clone, Copy, Default)]
pub struct ModelRequest<'a> {
    /// The OpenAI field `model`, a provider's prefix allowed.
    pub model: Option<&'a str>,
    /// The extra field `cursorModel`, which wins and is used literally: no effort changes it.
    pub cursor_model: Option<&'a str>,
    /// The OpenAI field `reasoning_effort`. Clients send it for any model, so it only counts where the
    /// family has this effort.
    pub reasoning_effort: Option<&'a str>,
}

/// The account has no model of this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no model {name:?}{}", self.hint())]
pub struct UnknownModel {
    /// The requested name, without its prefix.
    pub name: String,
    /// The most similar ids, best first; may be empty.
    pub nearest: Vec<String>,
}

impl UnknownModel {
    fn hint(&self) -> String {
        if self.nearest.is_empty() {
            "; `open-cursor models` lists the models".to_owned()
        } else {
            format!("; did you mean {}?", self.nearest.join(", "))
        }
    }
}

/// The id to give the agent.
///
/// `complete`: whether `families` are all models of the account.
///
/// # Errors
/// When `families` are complete and have no such model, or the name cannot be a model's.
pub fn resolve(
    request: ModelRequest<'_>,
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
            // Faster costs more, so it must be requested.
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
mod tests;
