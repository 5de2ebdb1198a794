//! The schema of a tool's arguments, as text until somebody looks at it.
//!
//! Clients send dozens of them with each request, and most are only shown to the model.

use std::{
    fmt,
    ops::Deref,
    sync::{Arc, OnceLock},
};

use serde_json::{Value, json};

/// A JSON Schema in JSON Schema's own words. Clones share everything.
#[derive(Clone)]
pub struct ToolSchema(Arc<SchemaText>);

struct SchemaText {
    text: String,
    schema: OnceLock<Value>,
}

impl ToolSchema {
    /// The schema that is written as this JSON text, in the words of whichever vendor.
    #[must_use]
    pub fn of_text(text: String) -> Self {
        let schema = OnceLock::new();
        Self(Arc::new(SchemaText { text, schema }))
    }

    /// How long it is as text, in bytes.
    #[must_use]
    pub fn text_len(&self) -> usize {
        self.0.text.len()
    }
}

impl Deref for ToolSchema {
    type Target = Value;

    fn deref(&self) -> &Value {
        self.0.schema.get_or_init(|| {
            let schema = serde_json::from_str(&self.0.text);
            in_own_words(schema.unwrap_or_default())
        })
    }
}

impl From<Value> for ToolSchema {
    fn from(schema: Value) -> Self {
        Self(Arc::new(SchemaText {
            text: schema.to_string(),
            schema: OnceLock::from(schema),
        }))
    }
}

impl PartialEq for ToolSchema {
    fn eq(&self, other: &Self) -> bool {
        self.0.text == other.0.text || **self == **other
    }
}

impl fmt::Debug for ToolSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

/// A schema in JSON Schema's own words: Gemini writes `"type": "OBJECT"`, and `"nullable": true` for
/// a further type.
#[must_use]
pub fn in_own_words(mut schema: Value) -> Value {
    rewrite(&mut schema);
    schema
}

fn rewrite(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            let is_nullable = members.get("nullable") == Some(&Value::Bool(true));
            for (key, value) in members.iter_mut() {
                match value {
                    Value::String(text)
                        if key == "type" && text.chars().all(|c| c.is_ascii_uppercase()) =>
                    {
                        text.make_ascii_lowercase();
                    }
                    other => rewrite(other),
                }
            }
            if let Some(kind @ Value::String(_)) = members.get_mut("type").filter(|_| is_nullable) {
                *kind = json!([kind.take(), "null"]);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(rewrite),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_schema_are_equal() {
        let schema = json!({"type": "object", "properties": {"a": {"type": ["string", "null"]}}});
        let text = r#"{"type":"OBJECT","properties":{"a":{"type":"STRING"}}}"#;
        let nullable = text.replace(r#""STRING""#, r#""STRING","nullable":true"#);
        let mut expected = schema.clone();
        expected["properties"]["a"]["nullable"] = true.into();
        assert_eq!(*ToolSchema::of_text(nullable), expected);
        let own = ToolSchema::from(schema.clone());
        assert_eq!(
            own,
            ToolSchema::of_text(schema.to_string().replace(',', " , "))
        );
        assert_ne!(own, ToolSchema::of_text(text.to_owned()));
        assert_eq!(own.text_len(), schema.to_string().len());
    }
}
