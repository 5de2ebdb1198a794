//! The arguments of tools whose client says nothing of them.
//!
//! Some clients offer `{"name": "bash"}`, or a schema without properties that takes anything. By
//! its name such a tool is known all the same, so it is called with the argument names that
//! OpenCode has for a tool of its family: they are the most common ones among our clients. Nothing
//! is demanded and no type is prescribed, so arguments that the model writes for the tool itself
//! pass as they are.

use serde_json::{Map, Value, json};

/// The arguments, by family. Lists say what their items hold.
fn table() -> Value {
    json!({
        "bash": {"command": {}, "timeout": {}, "workdir": {}, "description": {}},
        "read": {"filePath": {}, "offset": {}, "limit": {}},
        "write": {"filePath": {}, "content": {}},
        "edit": {"filePath": {}, "oldString": {}, "newString": {}, "replaceAll": {}},
        "multiedit": {"filePath": {}, "edits": {"items": {"properties": {
            "oldString": {}, "newString": {}, "replaceAll": {},
        }}}},
        "apply_patch": {"patchText": {}},
        "delete": {"filePath": {}},
        "list": {"path": {}, "ignore": {}},
        "glob": {"pattern": {}, "path": {}},
        "grep": {"pattern": {}, "path": {}, "include": {}},
        "todowrite": {"todos": {"items": {"properties": {
            "content": {}, "status": {}, "priority": {}, "id": {},
        }}}},
        "question": {"questions": {"items": {"properties": {
            "question": {}, "header": {}, "multiple": {},
            "options": {"items": {"properties": {"label": {}, "description": {}}}},
        }}}},
        "task": {"description": {}, "prompt": {}, "subagent_type": {}, "task_id": {}},
        "webfetch": {"url": {}, "format": {}},
        "websearch": {"query": {}},
        "skill": {"name": {}},
    })
}

/// The schema that a tool of these families has in fact; `None` if `schema` says something itself,
/// or nothing is known of the families.
pub(super) fn schema(families: &[&str], schema: &Value) -> Option<Value> {
    if families.is_empty() || !is_unspecific(schema) {
        return None;
    }
    let mut table = table();
    let properties: Map<String, Value> = families
        .iter()
        .filter_map(|family| match table.get_mut(family)?.take() {
            Value::Object(known) => Some(known),
            _ => None,
        })
        .flatten()
        .collect();
    (!properties.is_empty()).then(|| json!({"type": "object", "properties": properties}))
}

/// Whether a schema names no argument and forbids none.
fn is_unspecific(schema: &Value) -> bool {
    let Some(schema) = schema.as_object() else {
        return schema == &Value::Bool(true) || schema.is_null();
    };
    schema.iter().all(|(key, value)| match key.as_str() {
        "properties" => value.as_object().is_some_and(Map::is_empty),
        "required" => value.as_array().is_some_and(Vec::is_empty),
        "additionalProperties" => value == &json!(true) || value == &json!({}),
        "type" => value == "object",
        "$schema" | "title" | "description" => true,
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_schemas_that_say_nothing_are_replaced() {
        for (silent, expected) in [
            (json!({}), true),
            (json!({"type": "object"}), true),
            (
                json!({"type": "object", "properties": {}, "required": []}),
                true,
            ),
            (
                json!({"type": "object", "additionalProperties": true}),
                true,
            ),
            (
                json!({"type": "object", "additionalProperties": false}),
                false,
            ),
            (
                json!({"type": "object", "additionalProperties": {"type": "string"}}),
                false,
            ),
            (json!({"properties": {"x": {}}}), false),
            (json!({"required": ["x"]}), false),
            (json!({"anyOf": [{"required": ["x"]}]}), false),
        ] {
            assert_eq!(schema(&["bash"], &silent).is_some(), expected, "{silent}");
            assert_eq!(schema(&[], &silent), None);
            assert_eq!(schema(&["mkdir"], &silent), None);
        }
        let both = schema(&["glob", "grep"], &json!({})).unwrap_or_default();
        assert!(both["properties"]["include"].is_object(), "{both}");
    }
}
