//! [`ToolSpec`]s as each vendor writes tool definitions: the way back from [`specs`](super::offered).

use serde_json::{Value, json};

use crate::turn::ToolSpec;

/// How a vendor writes tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolFormat {
    /// `[{"type": "function", "function": {"name", "description", "parameters"}}]`
    OpenAi,
    /// `[{"name", "description", "input_schema"}]`
    Claude,
    /// `[{"functionDeclarations": [{"name", "description", "parametersJsonSchema"}]}]`
    Gemini,
}

/// The value of a request's `tools`.
#[must_use]
pub fn render(specs: &[ToolSpec], format: ToolFormat) -> Value {
    let each = |tool: fn(&ToolSpec) -> Value| specs.iter().map(tool).collect::<Value>();
    match format {
        ToolFormat::OpenAi => each(|tool| {
            let function = definition(tool, "parameters");
            json!({"type": "function", "function": function})
        }),
        ToolFormat::Claude => each(|tool| definition(tool, "input_schema")),
        ToolFormat::Gemini => {
            json!([{"functionDeclarations": each(|tool| definition(tool, "parametersJsonSchema"))}])
        }
    }
}

fn definition(tool: &ToolSpec, schema: &str) -> Value {
    let mut definition = json!({"name": tool.name});
    if !tool.description.is_empty() {
        definition["description"] = tool.description.as_str().into();
    }
    definition[schema] = Value::clone(&tool.schema);
    definition
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::dialect::{field::Field, tools::offered};

    #[test]
    fn what_was_written_is_read_back_from_every_format() {
        let read = ToolSpec {
            name: "read".to_owned(),
            description: "Reads a file.".to_owned(),
            schema: json!({"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}).into(),
        };
        let now = ToolSpec {
            name: "now".to_owned(),
            description: String::new(),
            schema: json!({"type": "object", "properties": {}}).into(),
        };
        let tools = [read, now];
        for format in [ToolFormat::OpenAi, ToolFormat::Claude, ToolFormat::Gemini] {
            let body = json!({"tools": render(&tools, format)});
            assert_eq!(
                offered(&Field::root(&(&body).into())).unwrap().specs,
                tools,
                "{body}"
            );
        }
    }

    #[test]
    fn the_forms() {
        let tool = [ToolSpec {
            name: "a".to_owned(),
            description: "d".to_owned(),
            schema: json!({"type": "object"}).into(),
        }];
        let schema = json!({"type": "object"});
        for (format, wanted) in [
            (
                ToolFormat::OpenAi,
                json!([{"type": "function", "function": {"name": "a", "description": "d", "parameters": schema}}]),
            ),
            (
                ToolFormat::Claude,
                json!([{"name": "a", "description": "d", "input_schema": schema}]),
            ),
            (
                ToolFormat::Gemini,
                json!([{"functionDeclarations": [{"name": "a", "description": "d", "parametersJsonSchema": schema}]}]),
            ),
        ] {
            assert_eq!(render(&tool, format), wanted);
        }
    }
}
