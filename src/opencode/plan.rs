//! Decides, value by value, what to change: a three-way merge of what we wrote last time, what is
//! there, and what we wish for.
//!
//! | last time | there    | wish    | then                                           |
//! |-----------|----------|---------|------------------------------------------------|
//! | any       | none     | a       | write a                                        |
//! | any       | a        | a       | nothing                                        |
//! | a         | a        | b, none | write b, remove: it was ours                   |
//! | else      | c        | b, none | leave c: the user set it                       |
//!
//! `cost`, `limit` and `modalities` are one value each; everything else is merged key by key.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Map, Value};

use super::wish::Wish;

/// One change within `provider.<id>`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Edit {
    /// The keys that lead to the value.
    pub path: Vec<String>,
    /// What is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// What will be; `None` removes the key.
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
    /// Ours and no longer wished for.
    pub removed: usize,
    /// Values of the user's that differ from ours.
    pub kept: usize,
    /// Models with a price afterwards, the user's own included.
    pub priced: usize,
    /// Wished for and already right.
    pub skipped: usize,
}

/// What is to be changed.
#[derive(Debug, Clone, PartialEq)]
pub struct SyncPlan {
    /// The changes, in the order to make them.
    pub edits: Vec<Edit>,
    /// The same, counted.
    pub summary: Summary,
    /// Where the user's value was left in the place of ours, such as `models.auto.name`.
    pub kept: Vec<String>,
    /// What of the outcome is ours, for the next time.
    pub(super) record: Value,
}

/// A key that must hold an object and does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NoObject(pub(super) String);

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

/// Plans for a provider whose value is `there`, of which `base` is what we wrote last time.
/// `named` are models that the configuration refers to elsewhere; they are never removed.
pub(super) fn plan(
    base: Option<&Value>,
    there: Option<&Value>,
    named: &BTreeSet<String>,
    wish: &Wish,
) -> Result<SyncPlan, NoObject> {
    let base = adopt_folded(base.cloned().unwrap_or_default(), there, wish);
    let mut merge = Merge {
        wish,
        named,
        path: Vec::new(),
        edits: Vec::new(),
        kept: Vec::new(),
        stayed: Vec::new(),
    };
    let outcome = merge
        .value(Some(&base), there, Some(&wish.tree))?
        .unwrap_or_default();
    let mut record = common(&wish.tree, &outcome).unwrap_or_default();
    for (id, entry) in merge.stayed {
        record["models"][id] = entry;
    }
    Ok(SyncPlan {
        summary: summary(&merge.edits, merge.kept.len(), wish, &outcome),
        edits: merge.edits,
        kept: merge.kept,
        record,
    })
}

/// Takes plain entries of folded models for ours though we have no record of them: those that the
/// TypeScript system wrote.
fn adopt_folded(mut base: Value, there: Option<&Value>, wish: &Wish) -> Value {
    for id in &wish.folded {
        let Some(entry) = there.and_then(|t| t.get("models")?.get(id)) else {
            continue;
        };
        let plain = entry
            .as_object()
            .is_some_and(|entry| entry.keys().all(|key| PLAIN.contains(&key.as_str())));
        if plain
            && base
                .get("models")
                .and_then(|models| models.get(id))
                .is_none()
        {
            base["models"][id] = entry.clone();
        }
    }
    base
}

struct Merge<'a> {
    wish: &'a Wish,
    named: &'a BTreeSet<String>,
    path: Vec<String>,
    edits: Vec<Edit>,
    kept: Vec<String>,
    /// Models of ours that stay though not wished for.
    stayed: Vec<(String, Value)>,
}

impl Merge<'_> {
    /// Merges the value at `path`; returns what will be there.
    fn value(
        &mut self,
        base: Option<&Value>,
        there: Option<&Value>,
        wish: Option<&Value>,
    ) -> Result<Option<Value>, NoObject> {
        let ours = match (base, there) {
            (Some(base), Some(there)) => same(base, there),
            (_, None) => true,
            (None, Some(_)) => false,
        };
        match (there, wish) {
            (None, None) => Ok(None),
            (Some(there), Some(wish)) if same(there, wish) => Ok(Some(there.clone())),
            (None, Some(Value::Object(wish))) if self.path.len() < 2 => {
                self.object(base, &Map::new(), wish).map(Some)
            }
            (Some(Value::Object(there)), Some(Value::Object(wish))) if !self.is_one_value() => {
                self.object(base, there, wish).map(Some)
            }
            (Some(_), Some(Value::Object(_))) if self.path.len() < 2 => {
                Err(NoObject(self.path.join(".")))
            }
            (Some(there), None) if self.stays(base) => Ok(Some(there.clone())),
            (there, wish) if ours => {
                self.edits.push(Edit {
                    path: self.path.clone(),
                    from: there.cloned(),
                    to: wish.cloned(),
                });
                Ok(wish.cloned())
            }
            (there, wish) => {
                if wish.is_some() || base.is_some() {
                    self.kept.push(self.path.join("."));
                }
                Ok(there.cloned())
            }
        }
    }

    fn object(
        &mut self,
        base: Option<&Value>,
        there: &Map<String, Value>,
        wish: &Map<String, Value>,
    ) -> Result<Value, NoObject> {
        let mut outcome = Map::new();
        let more = there.keys().filter(|key| !wish.contains_key(*key));
        for key in wish.keys().chain(more) {
            self.path.push(key.clone());
            let base = base.and_then(|base| base.get(key));
            let value = self.value(base, there.get(key), wish.get(key))?;
            self.path.pop();
            outcome.extend(value.map(|value| (key.clone(), value)));
        }
        Ok(outcome.into())
    }

    /// Whether this is a model of ours that stays without a word though not wished for: the list may
    /// not be the whole, or the configuration uses it.
    fn stays(&mut self, base: Option<&Value>) -> bool {
        let ([models, id], Some(base)) = (self.path.as_slice(), base) else {
            return false;
        };
        let stays = models == "models" && (!self.wish.complete || self.named.contains(id));
        if stays {
            self.stayed.push((id.clone(), base.clone()));
        }
        stays
    }

    fn is_one_value(&self) -> bool {
        matches!(self.path.as_slice(), [_, _, key]
            if matches!(key.as_str(), "cost" | "limit" | "modalities"))
    }
}

fn summary(edits: &[Edit], kept: usize, wish: &Wish, outcome: &Value) -> Summary {
    let models = edits
        .iter()
        .filter(|edit| edit.path.first().is_some_and(|key| key == "models"));
    let whole = |edit: &&Edit| edit.path.len() == 2;
    let added = models
        .clone()
        .filter(whole)
        .filter(|edit| edit.to.is_some())
        .count();
    let removed = models.clone().filter(whole).count() - added;
    let inner = models.filter(|edit| !whole(edit)).map(|edit| &edit.path[1]);
    let updated = inner.collect::<BTreeSet<_>>().len();
    let there = outcome["models"].as_object();
    let priced = there
        .into_iter()
        .flatten()
        .filter(|(_, model)| model.get("cost").is_some());
    Summary {
        added,
        updated,
        removed,
        kept,
        priced: priced.count(),
        skipped: wish
            .models()
            .map_or(0, Map::len)
            .saturating_sub(added + updated),
    }
}

/// Equal as JSON readers see it: 5 is 5.0.
fn same(a: &Value, b: &Value) -> bool {
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

/// The part of `a` that `b` has as well.
fn common(a: &Value, b: &Value) -> Option<Value> {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            let shared = a
                .iter()
                .filter_map(|(key, a)| Some((key.clone(), common(a, b.get(key)?)?)));
            Some(Value::Object(shared.collect()))
        }
        (a, b) => same(a, b).then(|| a.clone()),
    }
}
