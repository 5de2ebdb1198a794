//! The form that the answer's text must have, as every vendor writes it.

use serde_json::Value;

use super::field::Field;
use crate::turn::{Format, TurnError};

/// Reads a format: `text`, `json_object`, or `json_schema` with the schema in it or one level below
/// (OpenAI's chat completions).
///
/// # Errors
/// An unknown type, or a schema that is none.
pub fn format(field: Option<Field<'_>>) -> Result<Format, TurnError> {
    let Some(field) = field else {
        return Ok(Format::Text);
    };
    let kind = field.require("type")?;
    match kind.str()? {
        "text" => Ok(Format::Text),
        "json_object" => Ok(Format::JsonObject),
        "json_schema" => {
            let outer = field.get("json_schema").unwrap_or(field);
            let Some(schema) = outer.get("schema") else {
                return Ok(Format::JsonObject);
            };
            schema.object()?;
            of_schema(&schema, schema.value.to_value())
        }
        _ => Err(kind.must_be("text, json_object or json_schema")),
    }
}

/// The format of a schema that stands in this field.
///
/// # Errors
/// A schema that is none.
pub fn of_schema(field: &Field<'_>, schema: Value) -> Result<Format, TurnError> {
    match jsonschema::validator_for(&schema) {
        Ok(_) => Ok(Format::JsonSchema(schema)),
        Err(error) => Err(field.fail(format_args!("is not a valid JSON Schema: {error}"))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(value: &Value) -> Result<Format, TurnError> {
        format(Field::root(&(&json!({ "f": value })).into()).get("f"))
    }

    #[test]
    fn every_form() {
        let schema = json!({"type": "object", "required": ["a"]});
        for (value, wanted) in [
            (json!(null), Format::Text),
            (json!({"type": "text"}), Format::Text),
            (json!({"type": "json_object"}), Format::JsonObject),
            (
                json!({"type": "json_schema", "name": "n", "schema": schema, "strict": true}),
                Format::JsonSchema(schema.clone()),
            ),
            (
                json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}),
                Format::JsonSchema(schema.clone()),
            ),
            (
                json!({"type": "json_schema", "json_schema": {"name": "n"}}),
                Format::JsonObject,
            ),
        ] {
            assert_eq!(read(&value).unwrap(), wanted, "{value}");
        }
    }

    #[test]
    fn faults() {
        for (value, path) in [
            (json!("json"), "f.type"),
            (json!({"type": "grammar"}), "f.type"),
            (json!({"type": "json_schema", "schema": 3}), "f.schema"),
            (
                json!({"type": "json_schema", "schema": {"type": "thing"}}),
                "f.schema",
            ),
        ] {
            assert_eq!(read(&value).unwrap_err().param.unwrap(), path, "{value}");
        }
    }
}
