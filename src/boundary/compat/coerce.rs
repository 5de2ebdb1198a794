//! Types, coerced only where nothing is lost.

use serde_json::{Map, Number, Value};

use crate::boundary::schema::{Schema, required, types};

/// Values in each other; deeper ones stay as they are. On each level all that is below is checked.
const MAX_DEPTH: usize = 16;

/// Brings each argument to the type that its property demands, where that loses nothing.
pub(super) fn arguments(schema: &Schema, map: &mut Map<String, Value>) {
    object(schema, schema.root(), map, 0);
}

fn object(schema: &Schema, node: &Value, map: &mut Map<String, Value>, depth: usize) {
    let required: Vec<&str> = required(node).collect();
    if let Some(properties) = node.get("properties").and_then(Value::as_object) {
        // Null for an argument that may be left out means that it was left out.
        map.retain(|name, value| {
            !value.is_null()
                || required.contains(&name.as_str())
                || properties
                    .get(name)
                    .is_none_or(|node| schema.accepts(node, value))
        });
        for (name, value) in map.iter_mut() {
            if let Some(node) = properties.get(name) {
                fit(schema, schema.resolve(node), value, depth);
            }
        }
    }
    if node.get("additionalProperties") == Some(&Value::Bool(false))
        && node.get("patternProperties").is_none()
    {
        let properties = node.get("properties");
        map.retain(|name, _| properties.is_some_and(|p| p.get(name).is_some()));
    }
}

fn fit(schema: &Schema, node: &Value, value: &mut Value, depth: usize) {
    if depth == MAX_DEPTH || schema.accepts(node, value) {
        return;
    }
    let wanted = types(node);
    if let Some(choices) = node.get("enum").and_then(Value::as_array)
        && let Some(text) = value.as_str()
        && let Some(same) = choices.iter().find(|choice| {
            choice
                .as_str()
                .is_some_and(|c| c.eq_ignore_ascii_case(text))
        })
    {
        *value = same.clone();
        return;
    }
    if let Some(new) = wanted.iter().find_map(|kind| converted(kind, value)) {
        *value = new;
    }
    match value {
        Value::Object(map) => object(schema, node, map, depth + 1),
        Value::Array(items) => {
            if let Some(node) = node.get("items") {
                for item in items {
                    fit(schema, schema.resolve(node), item, depth + 1);
                }
            }
        }
        _ => {}
    }
}

/// The value as a `kind`, if it is not one already and has exactly one counterpart there.
fn converted(kind: &str, value: &Value) -> Option<Value> {
    match (kind, value) {
        ("integer", Value::Number(number)) => {
            let float = number.as_f64().filter(|f| f.fract() == 0.0)?;
            (float.abs() < 9e15 && number.is_f64()).then(|| Value::from(float as i64))
        }
        ("integer", Value::String(text)) => text.trim().parse::<i64>().ok().map(Value::from),
        ("number", Value::String(text)) => {
            let text = text.trim();
            text.parse::<i64>().ok().map(Value::from).or_else(|| {
                let float = text.parse::<f64>().ok()?;
                Number::from_f64(float).map(Value::Number)
            })
        }
        ("boolean", Value::String(text)) => match text.trim() {
            "true" | "True" => Some(Value::Bool(true)),
            "false" | "False" => Some(Value::Bool(false)),
            _ => None,
        },
        ("string", Value::Number(number)) => Some(Value::String(number.to_string())),
        ("string", Value::Bool(flag)) => Some(Value::String(flag.to_string())),
        ("array", Value::String(text)) if text.trim_start().starts_with('[') => {
            serde_json::from_str(text).ok()
        }
        ("object", Value::String(text)) if text.trim_start().starts_with('{') => {
            serde_json::from_str(text).ok()
        }
        ("array", Value::String(_) | Value::Number(_) | Value::Bool(_) | Value::Object(_)) => {
            Some(Value::Array(vec![value.clone()]))
        }
        _ => None,
    }
}
