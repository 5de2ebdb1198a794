//! Decides, value by value, what to change: a three-way merge of what we wrote last time, what is
//! there, and what we want.
//!
//! | last time | there    | wanted  | then                                           |
//! |-----------|----------|---------|------------------------------------------------|
//! | any       | none     | a       | write a                                        |
//! | any       | a        | a       | nothing                                        |
//! | a         | a        | b, none | write b, remove: it was ours                   |
//! | else      | c        | b, none | leave c: the user set it                       |
//!
//! `cost`, `limit` and `modalities` are one value each; everything else is merged key by key.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::desired::DesiredProvider;

/// One change within `provider.<id>`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConfigEdit {
    /// The keys that lead to the value.
    pub path: Vec<String>,
    /// The current value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// The new value; `None` removes the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
}

/// How many models a plan concerns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Not there before.
    pub added: usize,
    /// Changed in some value.
    pub updated: usize,
    /// Ours and no longer wanted.
    pub removed: usize,
    /// Values of the user's that differ from ours.
    pub kept: usize,
    /// Models with a price afterwards, the user's own included.
    pub priced: usize,
    /// Wanted and up to date.
    pub skipped: usize,
}

/// The planned changes.
#[derive(Debug, Clone, PartialEq)]
pub struct SyncPlan {
    /// The changes, in the order to make them.
    pub edits: Vec<ConfigEdit>,
    /// The same, counted.
    pub summary: Summary,
    /// The paths where the user's value was kept, such as `models.auto.name`.
    pub kept: Vec<String>,
    /// The values that are ours afterwards, for the record.
    pub(super) record: Value,
}

/// A key whose value must be an object and is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NotAnObject(pub(super) String);

/// The keys that entries without a family have; whoever has others has been edited by hand.
const PLAIN: [&str; 7] = [
    "name",
    "reasoning",
    "attachment",
    "tool_call",
    "modalities",
    "limit",
    "cost",
];

/// Plans for a provider whose value is `there`. `bases` are what we wrote, or may have written if we
/// were killed at it. `named` are models that the configuration refers to elsewhere; they are never
/// removed.
pub(super) fn plan(
    bases: &[Value],
    there: Option<&Value>,
    named: &BTreeSet<String>,
    desired: &DesiredProvider,
) -> Result<SyncPlan, NotAnObject> {
    let adopted = adopt_folded(bases, there, desired);
    let bases: Vec<&Value> = bases.iter().chain([&adopted]).collect();
    let mut merge = Merge {
        desired,
        named,
        path: Vec::new(),
        edits: Vec::new(),
        kept: Vec::new(),
        stayed: Vec::new(),
    };
    let outcome = merge
        .value(&bases, there, Some(&desired.tree))?
        .unwrap_or_default();
    let mut record = common(&mut Vec::new(), &desired.tree, &outcome).unwrap_or_default();
    for (id, entry) in merge.stayed {
        record["models"][id] = entry;
    }
    Ok(SyncPlan {
        summary: summary(&merge.edits, merge.kept.len(), desired, &outcome),
        edits: merge.edits,
        kept: merge.kept,
        record,
    })
}

/// Treats plain entries of folded models as ours without a record of them: the TypeScript system
/// wrote such entries.
fn adopt_folded(bases: &[Value], there: Option<&Value>, desired: &DesiredProvider) -> Value {
    let mut adopted = Map::new();
    for id in &desired.folded {
        let model = |tree: &Value| tree.get("models")?.get(id).cloned();
        let plain = |entry: &Value| {
            let entry = entry.as_object();
            entry.is_some_and(|entry| entry.keys().all(|key| PLAIN.contains(&key.as_str())))
        };
        if bases.iter().all(|base| model(base).is_none()) {
            let entry = there.and_then(model).filter(plain);
            adopted.extend(entry.map(|entry| (id.clone(), entry)));
        }
    }
    json!({"models": adopted})
}

struct Merge<'a> {
    desired: &'a DesiredProvider,
    named: &'a BTreeSet<String>,
    path: Vec<String>,
    edits: Vec<ConfigEdit>,
    kept: Vec<String>,
    /// Models of ours that stay though they are not wanted.
    stayed: Vec<(String, Value)>,
}

impl Merge<'_> {
    /// Merges the value at `path`; returns what will be there.
    fn value(
        &mut self,
        bases: &[&Value],
        there: Option<&Value>,
        desired: Option<&Value>,
    ) -> Result<Option<Value>, NotAnObject> {
        let ours = there.is_none_or(|there| bases.iter().any(|base| same(base, there)));
        match (there, desired) {
            (None, None) => Ok(None),
            (Some(there), Some(desired)) if same(there, desired) => Ok(Some(there.clone())),
            (None, Some(Value::Object(desired))) if self.path.len() < 2 => {
                self.object(bases, &Map::new(), desired).map(Some)
            }
            (Some(Value::Object(there)), Some(Value::Object(desired)))
                if !is_one_value(&self.path) =>
            {
                self.object(bases, there, desired).map(Some)
            }
            (Some(_), Some(Value::Object(_))) if self.path.len() < 2 => {
                Err(NotAnObject(self.path.join(".")))
            }
            (Some(there), None) if self.stays(bases, there) => Ok(Some(there.clone())),
            (there, desired) if ours => {
                self.edits.push(ConfigEdit {
                    path: self.path.clone(),
                    from: there.cloned(),
                    to: desired.cloned(),
                });
                Ok(desired.cloned())
            }
            (there, desired) => {
                if desired.is_some() || !bases.is_empty() {
                    self.kept.push(self.path.join("."));
                }
                Ok(there.cloned())
            }
        }
    }

    fn object(
        &mut self,
        bases: &[&Value],
        there: &Map<String, Value>,
        desired: &Map<String, Value>,
    ) -> Result<Value, NotAnObject> {
        let mut outcome = Map::new();
        let more = there.keys().filter(|key| !desired.contains_key(*key));
        for key in desired.keys().chain(more) {
            self.path.push(key.clone());
            let bases: Vec<&Value> = bases.iter().filter_map(|base| base.get(key)).collect();
            let value = self.value(&bases, there.get(key), desired.get(key))?;
            self.path.pop();
            outcome.extend(value.map(|value| (key.clone(), value)));
        }
        Ok(outcome.into())
    }

    /// Whether this is a model of ours that stays without a word though not wished for: the list may
    /// not be the whole, or the configuration uses it.
    fn stays(&mut self, bases: &[&Value], there: &Value) -> bool {
        let ([models, id], Some(first)) = (self.path.as_slice(), bases.first()) else {
            return false;
        };
        let stays = models == "models" && (!self.desired.complete || self.named.contains(id));
        if stays {
            let base = bases.iter().find(|base| same(base, there)).unwrap_or(first);
            self.stayed.push((id.clone(), Value::clone(base)));
        }
        stays
    }
}

fn summary(
    edits: &[ConfigEdit],
    kept: usize,
    desired: &DesiredProvider,
    outcome: &Value,
) -> Summary {
    let models = edits.iter().map(|edit| (edit.path.as_slice(), &edit.to));
    let models = models.filter(|(path, _)| path.first().is_some_and(|key| key == "models"));
    let (whole, inner): (Vec<_>, Vec<_>) = models.partition(|(path, _)| path.len() == 2);
    let added = whole.iter().filter(|(_, to)| to.is_some()).count();
    let updated: BTreeSet<&String> = inner.iter().filter_map(|(path, _)| path.get(1)).collect();
    let there = outcome["models"].as_object().into_iter().flatten();
    Summary {
        added,
        updated: updated.len(),
        removed: whole.len() - added,
        kept,
        priced: there
            .filter(|(_, model)| model.get("cost").is_some())
            .count(),
        skipped: desired
            .models()
            .map_or(0, Map::len)
            .saturating_sub(added + updated.len()),
    }
}

/// Equal as JSON readers see it: 5 is 5.0.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, a)| b.get(k).is_some_and(|b| same(a, b)))
        }
        (a, b) => a == b,
    }
}

/// The part of `desired`, which is at `path`, that `outcome` has as well.
fn common(path: &mut Vec<String>, desired: &Value, outcome: &Value) -> Option<Value> {
    match (desired, outcome) {
        (Value::Object(desired), Value::Object(outcome)) if !is_one_value(path) => {
            let mut shared = Map::new();
            for (key, value) in desired {
                let Some(there) = outcome.get(key) else {
                    continue;
                };
                path.push(key.clone());
                shared.extend(common(path, value, there).map(|value| (key.clone(), value)));
                path.pop();
            }
            Some(shared.into())
        }
        (desired, outcome) => same(desired, outcome).then(|| desired.clone()),
    }
}

fn is_one_value(path: &[String]) -> bool {
    matches!(path, [_, _, key] if matches!(key.as_str(), "cost" | "limit" | "modalities"))
}
