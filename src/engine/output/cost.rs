//! How much work it is to check a value against a JSON Schema.
//!
//! A schema that refers to itself several times takes time in the power of the value's depth, and a
//! validator can't be stopped. So the work is counted first, as if each part of the schema were
//! looked at wherever it may apply. What has been counted once is known, so counting is cheap.

use std::collections::HashMap;

use serde_json::Value;

/// Work that is too much to count, or can't be counted.
const ENDLESS: usize = usize::MAX;

/// Whether checking `value` against the schema takes at most `most` steps.
pub fn is_within(most: usize, schema: &Value, value: &Value) -> bool {
    let mut count = StepCount {
        root: schema,
        most,
        known: HashMap::new(),
    };
    count.of(schema, value) <= most
}

struct StepCount<'a> {
    root: &'a Value,
    most: usize,
    /// By the places of schema and value; nothing while it is being counted, since a validator
    /// does not go round in circles either.
    known: HashMap<(*const Value, *const Value), usize>,
}

impl<'a> StepCount<'a> {
    fn of(&mut self, node: &'a Value, value: &'a Value) -> usize {
        let Some(members) = node.as_object() else {
            return 1;
        };
        let place = (std::ptr::from_ref(node), std::ptr::from_ref(value));
        if let Some(known) = self.known.get(&place) {
            return *known;
        }
        if self.known.len() > self.most {
            return ENDLESS;
        }
        self.known.insert(place, 0);
        let mut total = 1_usize;
        for (keyword, inner) in members {
            total = total.saturating_add(self.keyword(keyword, inner, node, value));
        }
        self.known.insert(place, total);
        total
    }

    fn keyword(
        &mut self,
        keyword: &str,
        inner: &'a Value,
        node: &'a Value,
        value: &'a Value,
    ) -> usize {
        match keyword {
            "$ref" => match inner.as_str().and_then(|target| target.strip_prefix('#')) {
                Some(pointer) => match self.root.pointer(pointer) {
                    Some(target) => self.of(target, value),
                    None => ENDLESS,
                },
                None => ENDLESS,
            },
            // What references mean changes below it.
            "$id" if !std::ptr::eq(node, self.root) => ENDLESS,
            "$dynamicRef" | "$recursiveRef" => ENDLESS,
            "allOf" | "anyOf" | "oneOf" | "dependentSchemas" => self.sum(each(inner), value),
            "not" | "if" | "then" | "else" => self.of(inner, value),
            "properties" => {
                let member = |(name, node)| Some((node, value.get(name)?));
                let members = inner.as_object().into_iter().flatten().filter_map(member);
                members.fold(0, |sum: usize, (node, member)| {
                    sum.saturating_add(self.of(node, member))
                })
            }
            "patternProperties" | "prefixItems" => self.parts(&each(inner), value),
            "items" if inner.is_array() => self.parts(&each(inner), value),
            "items"
            | "additionalProperties"
            | "unevaluatedProperties"
            | "unevaluatedItems"
            | "additionalItems"
            | "contains" => self.parts(&[inner], value),
            _ => 0,
        }
    }

    /// All these schemas for all parts of the value: which applies to which is not looked at.
    fn parts(&mut self, nodes: &[&'a Value], value: &'a Value) -> usize {
        let items = value.as_array().into_iter().flatten();
        let members = value.as_object().into_iter().flat_map(|map| map.values());
        items.chain(members).fold(0, |sum: usize, part| {
            sum.saturating_add(self.sum(nodes.to_vec(), part))
        })
    }

    fn sum(&mut self, nodes: Vec<&'a Value>, value: &'a Value) -> usize {
        nodes.into_iter().fold(0, |sum: usize, node| {
            sum.saturating_add(self.of(node, value))
        })
    }
}

/// The schemas of a list, or of a map by name.
fn each(nodes: &Value) -> Vec<&Value> {
    match nodes {
        Value::Array(list) => list.iter().collect(),
        Value::Object(map) => map.values().collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn nested(depth: usize) -> Value {
        (0..depth).fold(json!(1), |inner, _| json!({ "a": inner }))
    }

    #[test]
    fn what_grows_with_the_power_of_the_depth_is_too_much() {
        let three = json!([{"$ref": "#"}, {"$ref": "#"}, {"$ref": "#"}]);
        for schema in [
            json!({"properties": {"a": {"oneOf": three}}}),
            json!({"additionalProperties": {"anyOf": three}}),
            json!({"patternProperties": {"a": {"allOf": three}}}),
            json!({"properties": {"a": {"not": {"$ref": "#"}, "if": {"$ref": "#"}}}}),
        ] {
            assert!(is_within(100_000, &schema, &nested(3)), "{schema}");
            assert!(!is_within(100_000, &schema, &nested(60)), "{schema}");
        }
        for schema in [
            json!({"$ref": "#nowhere"}),
            json!({"$ref": "https://example.com/schema"}),
            json!({"properties": {"a": {"$id": "b", "$ref": "#"}}}),
            json!({"$dynamicRef": "#x"}),
        ] {
            assert!(!is_within(100_000, &schema, &nested(1)), "{schema}");
        }
    }

    #[test]
    fn ordinary_schemas_are_cheap() {
        let tree = json!({"$ref": "#/$defs/tree", "$defs": {"tree": {
            "type": "object",
            "properties": {"a": {"anyOf": [{"type": "integer"}, {"$ref": "#/$defs/tree"}]}},
        }}});
        assert!(is_within(1000, &tree, &nested(100)));
        assert!(is_within(
            10,
            &json!({"oneOf": [{"$ref": "#"}]}),
            &nested(100)
        ));
        let list = json!({"items": {"type": "object", "properties": {"a": {"type": "string"}}}});
        let items: Vec<Value> = (0..1000).map(|n| json!({ "a": n })).collect();
        assert!(is_within(10_000, &list, &json!(items)));
        assert!(!is_within(100, &list, &json!(items)));
    }
}
