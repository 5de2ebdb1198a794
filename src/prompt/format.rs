//! What the text of the answer must be.

use super::fence::block;
use crate::turn::Format;

const JSON: &str = "\nThe caller reads your final answer by a program: it must be one JSON value and \
nothing else, without a word or a code fence around it";

/// Appends the demand; nothing if any text will do.
pub fn section(format: &Format, out: &mut String) {
    match format {
        Format::Text => {}
        Format::JsonObject => {
            out.push_str(JSON);
            out.push_str(", and the value must be an object.\n");
        }
        Format::JsonSchema(schema) => {
            out.push_str(JSON);
            out.push_str(", and must satisfy this JSON Schema:\n");
            block("SCHEMA", &schema.to_string(), out);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_json_is_demanded() {
        let said = |format: &Format| {
            let mut out = String::new();
            section(format, &mut out);
            out
        };
        assert_eq!(said(&Format::Text), "");
        assert!(said(&Format::JsonObject).contains("an object"));
        let schema = said(&Format::JsonSchema(json!({"type": "array"})));
        assert!(schema.contains("\n{\"type\":\"array\"}\n"), "{schema}");
    }
}
