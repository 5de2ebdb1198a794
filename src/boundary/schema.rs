//! A view of a tool's JSON Schema: what arguments it has, which it demands, and whether given
//! arguments satisfy it.
//!
//! It covers what tool definitions use (draft 2020-12 names): `type`, `enum`, `const`,
//! `properties`, `required`, `additionalProperties`, `items`, bounds, `anyOf`, `oneOf`, `allOf` and
//! local `$ref`. Other keywords (`pattern`, `format`, `not`, ...) constrain nothing here: the
//! client checks its own arguments, and a call refused wrongly is worse than one passed on.

use std::sync::Arc;

use serde_json::{Map, Value};

/// Nested references and combinators deeper than this are taken as satisfied.
const MAX_DEPTH: usize = 32;

/// The schema of one tool's arguments.
#[derive(Debug, Clone)]
pub(super) struct Schema {
    root: Arc<Value>,
}

impl Schema {
    pub(super) fn new(root: impl Into<Arc<Value>>) -> Self {
        Self { root: root.into() }
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
            let Some(found) = target
                .strip_prefix('#')
                .and_then(|pointer| self.root.pointer(pointer))
            else {
                break;
            };
            node = found;
        }
        node
    }

    /// What is wrong with these arguments, one line each; empty if they are valid.
    pub(super) fn problems(&self, arguments: &Map<String, Value>) -> Vec<String> {
        let mut problems = Vec::new();
        // The map is checked as the object it is, without a copy.
        self.check_object(&self.root, arguments, "", &mut problems, 0);
        problems
    }

    /// Whether `value` satisfies `node`, a part of this schema.
    pub(super) fn accepts(&self, node: &Value, value: &Value) -> bool {
        self.fits(node, value, 0)
    }

    fn fits(&self, node: &Value, value: &Value, depth: usize) -> bool {
        let mut problems = Vec::new();
        self.check(node, value, "", &mut problems, depth);
        problems.is_empty()
    }

    fn check(&self, node: &Value, value: &Value, at: &str, out: &mut Vec<String>, depth: usize) {
        match value {
            Value::Object(map) => return self.check_object(node, map, at, out, depth),
            Value::Array(items) => self.check_items(node, items, at, out, depth),
            Value::String(text) => check_length(node, text, at, out),
            Value::Number(number) => check_bounds(node, number.as_f64(), at, out),
            Value::Null | Value::Bool(_) => {}
        }
        check_kind(node, kind_of(value), at, out);
        check_values(node, |allowed| equal(allowed, value), at, out);
        self.check_combined(node, at, out, depth, |schema, node, depth| {
            schema.fits(node, value, depth)
        });
    }

    fn check_object(
        &self,
        node: &Value,
        map: &Map<String, Value>,
        at: &str,
        out: &mut Vec<String>,
        depth: usize,
    ) {
        check_kind(node, "object", at, out);
        check_values(
            node,
            |allowed| allowed.as_object().is_some_and(|o| equal_maps(o, map)),
            at,
            out,
        );
        for name in required(node).filter(|name| !map.contains_key(*name)) {
            out.push(format!("missing {}", join(at, name)));
        }
        let properties = node.get("properties").and_then(Value::as_object);
        let patterns = node.get("patternProperties").is_some();
        for (name, value) in map {
            let at = join(at, name);
            if let Some(node) = properties.and_then(|p| p.get(name)) {
                self.check(node, value, &at, out, depth);
            } else if let Some(rest) = node.get("additionalProperties").filter(|_| !patterns) {
                self.check(rest, value, &at, out, depth);
            }
        }
        self.check_combined(node, at, out, depth, |schema, node, depth| {
            let mut problems = Vec::new();
            schema.check_object(node, map, "", &mut problems, depth);
            problems.is_empty()
        });
    }

    fn check_items(
        &self,
        node: &Value,
        items: &[Value],
        at: &str,
        out: &mut Vec<String>,
        depth: usize,
    ) {
        let bound = |name: &str| node.get(name).and_then(Value::as_u64);
        let count = items.len() as u64;
        if bound("minItems").is_some_and(|min| count < min)
            || bound("maxItems").is_some_and(|max| count > max)
        {
            out.push(format!("wrong number of items in {}", place(at)));
        }
        if let Some(node) = node.get("items") {
            for (index, item) in items.iter().enumerate() {
                self.check(node, item, &format!("{at}[{index}]"), out, depth);
            }
        }
    }

    /// `false`, `$ref`, `allOf`, `anyOf` and `oneOf`, where `fits` says whether the value at hand
    /// satisfies a schema.
    fn check_combined(
        &self,
        node: &Value,
        at: &str,
        out: &mut Vec<String>,
        depth: usize,
        fits: impl Fn(&Self, &Value, usize) -> bool,
    ) {
        if depth >= MAX_DEPTH {
            return;
        }
        let fits = |node: &Value| fits(self, node, depth + 1);
        let list = |name: &str| node.get(name).and_then(Value::as_array);
        let target = node
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|target| target.strip_prefix('#'))
            .and_then(|pointer| self.root.pointer(pointer));
        let holds = node != &Value::Bool(false)
            && target.is_none_or(fits)
            && list("allOf").is_none_or(|all| all.iter().all(fits))
            && list("anyOf").is_none_or(|any| any.iter().any(fits))
            && list("oneOf").is_none_or(|one| one.iter().filter(|node| fits(node)).count() == 1);
        if !holds {
            out.push(format!("{} is not of an allowed form", place(at)));
        }
    }
}

/// The names that `node` requires.
fn required(node: &Value) -> impl Iterator<Item = &str> {
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

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if is_whole(number.as_f64()) => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn is_whole(number: Option<f64>) -> bool {
    number.is_some_and(|number| number.fract() == 0.0)
}

fn check_kind(node: &Value, kind: &str, at: &str, out: &mut Vec<String>) {
    let types = types(node);
    let allowed = types.is_empty()
        || types.contains(&kind)
        || (kind == "integer" && types.contains(&"number"));
    if !allowed {
        out.push(format!(
            "{} must be {}, not {kind}",
            place(at),
            types.join(" or ")
        ));
    }
}

fn check_values(node: &Value, is: impl Fn(&Value) -> bool, at: &str, out: &mut Vec<String>) {
    let allowed = node
        .get("enum")
        .and_then(Value::as_array)
        .is_none_or(|values| values.iter().any(&is))
        && node.get("const").is_none_or(&is);
    if !allowed {
        out.push(format!("{} is not one of the allowed values", place(at)));
    }
}

fn check_length(node: &Value, text: &str, at: &str, out: &mut Vec<String>) {
    let bound = |name: &str| node.get(name).and_then(Value::as_u64);
    let (min, max) = (bound("minLength"), bound("maxLength"));
    if min.is_none() && max.is_none() {
        return;
    }
    let count = text.chars().count() as u64;
    if min.is_some_and(|min| count < min) || max.is_some_and(|max| count > max) {
        out.push(format!("{} has the wrong length", place(at)));
    }
}

fn check_bounds(node: &Value, number: Option<f64>, at: &str, out: &mut Vec<String>) {
    let Some(number) = number else { return };
    let bound = |name: &str| node.get(name).and_then(Value::as_f64);
    if bound("minimum").is_some_and(|min| number < min)
        || bound("maximum").is_some_and(|max| number > max)
        || bound("exclusiveMinimum").is_some_and(|min| number <= min)
        || bound("exclusiveMaximum").is_some_and(|max| number >= max)
    {
        out.push(format!("{} is out of range", place(at)));
    }
}

/// JSON Schema's equality: numbers by value (`1` is `1.0`).
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => equal_maps(a, b),
        _ => a == b,
    }
}

fn equal_maps(a: &Map<String, Value>, b: &Map<String, Value>) -> bool {
    a.len() == b.len()
        && a.iter()
            .all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
}

fn join(at: &str, name: &str) -> String {
    if at.is_empty() {
        name.to_owned()
    } else {
        format!("{at}.{name}")
    }
}

fn place(at: &str) -> &str {
    if at.is_empty() { "the arguments" } else { at }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
