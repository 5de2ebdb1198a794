//! One check of arguments against a schema.

use std::cell::Cell;

use serde_json::{Map, Value};

use super::{MAX_DEPTH, required, target_of, types};

/// A check that takes more steps than this is given up. One step looks at one value by one node.
const MAX_STEPS: usize = 20_000;

/// A check and what it has taken so far.
pub(super) struct SchemaCheck<'a> {
    root: &'a Value,
    left: Cell<usize>,
}

impl<'a> SchemaCheck<'a> {
    pub(super) fn new(root: &'a Value) -> Self {
        Self {
            root,
            left: Cell::new(MAX_STEPS),
        }
    }

    /// Whether it took too long, so that nothing that it found counts.
    pub(super) fn is_given_up(&self) -> bool {
        self.left.get() == 0
    }

    /// Takes a step over a value of this many parts. False if none is left.
    fn step(&self, parts: usize) -> bool {
        let left = self.left.get().saturating_sub(1 + parts / 16);
        self.left.set(left);
        left > 0
    }

    fn fits(&self, node: &Value, value: &Value, depth: usize) -> bool {
        let mut problems = Vec::new();
        self.value(node, value, "", &mut problems, depth);
        problems.is_empty()
    }

    pub(super) fn value(
        &self,
        node: &Value,
        value: &Value,
        at: &str,
        out: &mut Vec<String>,
        depth: usize,
    ) {
        if !self.step(weight(value)) {
            return;
        }
        match value {
            Value::Object(map) => return self.object(node, map, at, out, depth),
            Value::Array(items) => self.items(node, items, at, out, depth),
            Value::String(text) => check_length(node, text, at, out),
            Value::Number(number) => check_bounds(node, number.as_f64(), at, out),
            Value::Null | Value::Bool(_) => {}
        }
        check_kind(node, kind_of(value), at, out);
        check_values(node, |allowed| equal(allowed, value), at, out);
        self.combined(node, at, out, depth, |check, node, depth| {
            check.fits(node, value, depth)
        });
    }

    pub(super) fn object(
        &self,
        node: &Value,
        map: &Map<String, Value>,
        at: &str,
        out: &mut Vec<String>,
        depth: usize,
    ) {
        if !self.step(map.len()) {
            return;
        }
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
                self.value(node, value, &at, out, depth);
            } else if let Some(rest) = node.get("additionalProperties").filter(|_| !patterns) {
                self.value(rest, value, &at, out, depth);
            }
        }
        self.combined(node, at, out, depth, |check, node, depth| {
            let mut problems = Vec::new();
            check.object(node, map, "", &mut problems, depth);
            problems.is_empty()
        });
    }

    fn items(&self, node: &Value, items: &[Value], at: &str, out: &mut Vec<String>, depth: usize) {
        let bound = |name: &str| node.get(name).and_then(Value::as_u64);
        let count = items.len() as u64;
        if bound("minItems").is_some_and(|min| count < min)
            || bound("maxItems").is_some_and(|max| count > max)
        {
            out.push(format!("wrong number of items in {}", place(at)));
        }
        if let Some(node) = node.get("items") {
            for (index, item) in items.iter().enumerate() {
                self.value(node, item, &format!("{at}[{index}]"), out, depth);
            }
        }
    }

    /// `false`, `$ref`, `allOf`, `anyOf` and `oneOf`, where `fits` says whether the value at hand
    /// satisfies a schema.
    fn combined(
        &self,
        node: &Value,
        at: &str,
        out: &mut Vec<String>,
        depth: usize,
        fits: impl Fn(&Self, &Value, usize) -> bool,
    ) {
        if depth >= MAX_DEPTH || self.is_given_up() {
            return;
        }
        let fits = |node: &Value| fits(self, node, depth + 1);
        let list = |name: &str| node.get(name).and_then(Value::as_array);
        let target = node
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|target| target_of(self.root, target));
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

/// The parts that a comparison with this value may have to look at.
fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() / 1024,
        Value::Array(items) => items.len(),
        // Counted where its members are.
        Value::Object(_) | Value::Null | Value::Bool(_) | Value::Number(_) => 0,
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
