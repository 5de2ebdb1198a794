//! A view of a tool's JSON Schema: what arguments it has, which it demands, and whether given
//! arguments satisfy it.
//!
//! It covers what tool definitions use (draft 2020-12 names): `type`, `enum`, `const`,
//! `properties`, `required`, `additionalProperties`, `items`, bounds, `anyOf`, `oneOf`, `allOf` and
//! local `$ref`. Other keywords (`pattern`, `format`, `not`, ...) constrain nothing here: the
//! client checks its own arguments, and a call refused wrongly is worse than one passed on. For the
//! same reason arguments whose check would take too long are taken as valid: a schema that refers to
//! itself several times takes time in the power of the arguments' depth.

mod check;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde_json::{Map, Value};

use check::SchemaCheck;

use crate::turn::ToolSchema;

/// Nested references and combinators deeper than this are taken as satisfied.
const MAX_DEPTH: usize = 32;

/// The schema of one tool's arguments.
#[derive(Debug, Clone)]
pub(super) struct Schema {
    root: ToolSchema,
    /// Whether a check was given up. The next would be, too: each would cost as much again.
    costly: Arc<AtomicBool>,
}

impl Schema {
    pub(super) fn new(root: impl Into<ToolSchema>) -> Self {
        Self {
            root: root.into(),
            costly: Arc::default(),
        }
    }

    /// The schema's top node, which describes the argument object.
    pub(super) fn root(&self) -> &Value {
        self.resolve(&self.root)
    }

    /// The named arguments with their schemas, in the schema's order.
    pub(super) fn properties(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.root()
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(|(name, node)| (name.as_str(), node))
    }

    /// The arguments that may not be missing.
    pub(super) fn required(&self) -> impl Iterator<Item = &str> {
        required(self.root())
    }

    /// Whether arguments that the schema doesn't name are forbidden.
    pub(super) fn is_closed(&self) -> bool {
        self.root().get("additionalProperties") == Some(&Value::Bool(false))
    }

    /// Follows a local `$ref` to what it names.
    pub(super) fn resolve<'a>(&'a self, node: &'a Value) -> &'a Value {
        let mut node = node;
        for _ in 0..MAX_DEPTH {
            let Some(target) = node.get("$ref").and_then(Value::as_str) else {
                break;
            };
            let Some(found) = target_of(&self.root, target) else {
                break;
            };
            node = found;
        }
        node
    }

    /// What is wrong with these arguments, one line each; empty if they are valid.
    pub(super) fn problems(&self, arguments: &Map<String, Value>) -> Vec<String> {
        // The map is checked as the object it is, without a copy.
        self.check(|check, out| check.object(&self.root, arguments, "", out, 0))
    }

    /// Whether `value` satisfies `node`, a part of this schema.
    pub(super) fn accepts(&self, node: &Value, value: &Value) -> bool {
        self.check(|check, out| check.value(node, value, "", out, 0))
            .is_empty()
    }

    /// The problems that a check finds; none if it has to be given up.
    fn check(&self, run: impl FnOnce(&SchemaCheck<'_>, &mut Vec<String>)) -> Vec<String> {
        let mut problems = Vec::new();
        if self.costly.load(Ordering::Relaxed) {
            return problems;
        }
        let check = SchemaCheck::new(&self.root);
        run(&check, &mut problems);
        if check.is_given_up() {
            self.costly.store(true, Ordering::Relaxed);
            problems.clear();
        }
        problems
    }
}

/// What a local reference names.
fn target_of<'a>(root: &'a Value, target: &str) -> Option<&'a Value> {
    root.pointer(target.strip_prefix('#')?)
}

/// The names that `node` requires.
pub(super) fn required(node: &Value) -> impl Iterator<Item = &str> {
    node.get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

/// The types that a schema node allows; empty if it allows all.
pub(super) fn types(node: &Value) -> Vec<&str> {
    match node.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
