//! Whether a text is the JSON that was asked for.

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use super::cost;
use crate::turn::Format;

/// A check of whole texts.
pub struct Check {
    schema: Option<CheckedSchema>,
}

struct CheckedSchema {
    source: Value,
    validator: Validator,
}

/// A check that takes more steps than this is left out, so that it holds up no other turn.
const MOST_STEPS: usize = 200_000;

/// How far a regular expression of a schema may go back in a text.
const BACKTRACKING: usize = 10_000;

/// How many violations of a schema are reported.
const TOLD: usize = 5;

impl Check {
    /// `None` if any text will do.
    ///
    /// # Errors
    /// Why the schema is none.
    pub fn new(format: &Format) -> Result<Option<Self>, String> {
        let schema = match format {
            Format::Text => return Ok(None),
            Format::JsonObject => None,
            Format::JsonSchema(source) => {
                let patterns = PatternOptions::fancy_regex().backtrack_limit(BACKTRACKING);
                let options = jsonschema::options().with_pattern_options(patterns);
                let validator = options.build(source).map_err(|error| error.to_string())?;
                let source = source.clone();
                Some(CheckedSchema { source, validator })
            }
        };
        Ok(Some(Self { schema }))
    }

    /// The JSON in the text, without what models put around it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn json<'a>(&self, text: &'a str) -> Result<&'a str, String> {
        let read = |json: &'a str| {
            let value = serde_json::from_str::<Value>(json)?;
            Ok((json, value))
        };
        let (json, value) = read(text.trim())
            .or_else(|error| fenced(text).map_or(Err(error), read))
            .map_err(|error: serde_json::Error| format!("it is not JSON: {error}"))?;
        match &self.schema {
            None if value.is_object() => Ok(json),
            None => Err("it is JSON, but not an object".to_owned()),
            Some(CheckedSchema { source, .. }) if !cost::is_within(MOST_STEPS, source, &value) => {
                tracing::warn!("the answer is not checked against its schema: it takes too long");
                Ok(json)
            }
            Some(CheckedSchema { validator, .. }) => {
                let violations: Vec<String> = validator
                    .iter_errors(&value)
                    .take(TOLD)
                    .map(|error| match error.instance_path().as_str() {
                        "" => error.to_string(),
                        path => format!("{error} (at {path})"),
                    })
                    .collect();
                if violations.is_empty() {
                    Ok(json)
                } else {
                    Err(format!("it violates the schema: {}", violations.join("; ")))
                }
            }
        }
    }
}

/// What is in the text's code fence, if it has one.
fn fenced(text: &str) -> Option<&str> {
    let mut fences = text.match_indices("```");
    let (Some((open, _)), Some((close, _)), None) = (fences.next(), fences.next(), fences.next())
    else {
        return None;
    };
    let inner = &text[open + 3..close];
    // The rest of the first line names the language.
    let body = inner.split_once('\n').map_or(inner, |(_, body)| body);
    Some(body.trim())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(format: &Format) -> Check {
        Check::new(format).unwrap().unwrap()
    }

    #[test]
    fn json_is_found_in_what_models_write() {
        let check = check(&Format::JsonObject);
        for text in [
            r#"{"a": 1}"#,
            "\n {\"a\": 1} \n",
            "```json\n{\"a\": 1}\n```",
            "```\n{\"a\": 1}```",
            "Here it is:\n\n```json\n{\"a\": 1}\n```\nAnything else?",
        ] {
            assert_eq!(check.json(text).unwrap(), r#"{"a": 1}"#, "{text:?}");
        }
        let fence_inside = "{\"a\": \"``` and ```\"}";
        assert_eq!(check.json(fence_inside).unwrap(), fence_inside);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let object = check(&Format::JsonObject);
        for (text, said) in [
            ("Sure!", "not JSON"),
            ("", "not JSON"),
            ("{\"a\": 1", "not JSON"),
            ("[1]", "not an object"),
        ] {
            assert!(object.json(text).unwrap_err().contains(said), "{text:?}");
        }
        let schema =
            json!({"type": "object", "required": ["a"], "properties": {"b": {"type": "integer"}}});
        let schema = check(&Format::JsonSchema(schema));
        assert!(schema.json(r#"{"a": null}"#).is_ok());
        let fault = schema.json(r#"{"b": "x"}"#).unwrap_err();
        assert!(
            fault.contains("\"a\"") && fault.contains("(at /b)"),
            "{fault}"
        );
        assert!(Check::new(&Format::JsonSchema(json!({"type": "thing"}))).is_err());
        assert!(Check::new(&Format::Text).unwrap().is_none());
        // Nothing is said of what would take for ever.
        let three = json!([{"$ref": "#"}, {"$ref": "#"}, {"$ref": "#"}]);
        let schema = json!({"type": "object", "properties": {"a": {"oneOf": three}}});
        let schema = check(&Format::JsonSchema(schema));
        let nested = "{\"a\":".repeat(60) + "{}" + &"}".repeat(60);
        assert!(schema.json(&nested).is_ok());
        assert!(schema.json("{\"a\": {}}").is_err());
    }
}
