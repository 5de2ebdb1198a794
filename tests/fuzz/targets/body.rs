//! Request bodies that bytes steer the making of: the parameters of a dialect, mostly of the kind that
//! they ask for.

use arbitrary::{Result, Unstructured};
use open_cursor::dialect::Dialect;
use serde_json::{Map, Value, json};

/// Texts that mean something.
const WORDS: &[&str] = &[
    "system",
    "developer",
    "user",
    "assistant",
    "model",
    "tool",
    "function",
    "text",
    "input_text",
    "output_text",
    "message",
    "function_call",
    "function_call_output",
    "custom_tool_call",
    "custom_tool_call_output",
    "local_shell_call",
    "reasoning",
    "item_reference",
    "tool_use",
    "tool_result",
    "image",
    "image_url",
    "input_image",
    "document",
    "file",
    "input_file",
    "base64",
    "url",
    "thinking",
    "redacted_thinking",
    "custom",
    "namespace",
    "web_search",
    "bash_20250124",
    "text_editor_20250728",
    "auto",
    "none",
    "required",
    "any",
    "json_schema",
    "json_object",
    "object",
    "string",
    "array",
    "OBJECT",
    "#/$defs/a",
    "bash",
    "read",
    "a",
    "high",
    "image/png",
    "iVBORw0KGgo=",
    "data:image/png;base64,iVBORw0KGgo=",
    "data:text/plain,hello",
    "{}",
    "{\"command\":\"ls\"}",
    "",
];

const MESSAGE: &[&str] = &[
    "role",
    "content",
    "type",
    "tool_calls",
    "tool_call_id",
    "call_id",
    "name",
    "arguments",
    "id",
    "function_call",
    "output",
    "input",
    "parts",
    "summary",
    "is_error",
    "reasoning_content",
];
const PART: &[&str] = &[
    "type",
    "text",
    "id",
    "name",
    "input",
    "tool_use_id",
    "content",
    "is_error",
    "image_url",
    "source",
    "functionCall",
    "functionResponse",
    "inlineData",
    "file",
    "file_data",
    "thinking",
    "refusal",
];
const TOOL: &[&str] = &[
    "type",
    "name",
    "description",
    "function",
    "custom",
    "parameters",
    "input_schema",
    "format",
    "functionDeclarations",
    "tools",
    "strict",
    "parametersJsonSchema",
];
const CALL: &[&str] = &[
    "id",
    "type",
    "function",
    "custom",
    "name",
    "arguments",
    "args",
    "input",
    "response",
];
const FILE: &[&str] = &[
    "url",
    "type",
    "media_type",
    "data",
    "mimeType",
    "file_data",
    "filename",
    "file_id",
    "detail",
];
const CHOICE: &[&str] = &[
    "type",
    "name",
    "function",
    "mode",
    "tools",
    "allowed_tools",
    "disable_parallel_tool_use",
];
const SCHEMA: &[&str] = &[
    "type",
    "properties",
    "required",
    "items",
    "enum",
    "$ref",
    "$defs",
    "schema",
    "name",
    "strict",
];
const SETTING: &[&str] = &[
    "type",
    "effort",
    "summary",
    "format",
    "include_usage",
    "json_schema",
    "grammar",
    "definition",
    "syntax",
    "schema",
    "budget_tokens",
    "verbosity",
    "functionCallingConfig",
];

/// The member of an object, mostly of the kind that its key asks for.
fn member(key: &str, input: &mut Unstructured<'_>, depth: usize) -> Result<Value> {
    if depth == 0 || input.ratio(1u8, 16u8)? {
        return scalar(input);
    }
    Ok(match key {
        "messages" => list(MESSAGE, input, depth)?,
        "content" | "parts" | "system" | "output" | "summary" if input.arbitrary()? => {
            list(PART, input, depth)?
        }
        "input" if input.arbitrary()? => list(MESSAGE, input, depth)?,
        "tools" | "functions" | "functionDeclarations" => list(TOOL, input, depth)?,
        "tool_calls" => list(CALL, input, depth)?,
        "function" | "custom" | "functionCall" | "functionResponse" | "function_call"
        | "arguments" | "args" | "response" => {
            let keys = if input.arbitrary()? { CALL } else { TOOL };
            object(keys, input, depth)?
        }
        "image_url" | "source" | "inlineData" | "file" => object(FILE, input, depth)?,
        "tool_choice" | "toolConfig" | "allowed_tools" => object(CHOICE, input, depth)?,
        "parameters"
        | "input_schema"
        | "parametersJsonSchema"
        | "json_schema"
        | "schema"
        | "properties"
        | "items"
        | "$defs" => object(SCHEMA, input, depth)?,
        "format"
        | "response_format"
        | "text"
        | "reasoning"
        | "stream_options"
        | "output_config"
        | "output_format"
        | "thinking"
        | "grammar"
        | "functionCallingConfig"
            if input.arbitrary()? =>
        {
            object(SETTING, input, depth)?
        }
        "required" | "enum" | "stop" | "stop_sequences" => {
            let length = input.int_in_range(0..=3)?;
            json!(
                (0..length)
                    .map(|_| scalar(input))
                    .collect::<Result<Vec<_>>>()?
            )
        }
        "stream" | "strict" | "is_error" | "include_usage" | "parallel_tool_calls" | "x_cursor" => {
            json!(input.arbitrary::<bool>()?)
        }
        "n" | "max_tokens" | "max_completion_tokens" | "max_output_tokens" | "budget_tokens" => {
            json!(input.int_in_range(0..=5000)?)
        }
        _ => text(input)?,
    })
}

fn text(input: &mut Unstructured<'_>) -> Result<Value> {
    Ok(if input.ratio(9u8, 10u8)? {
        json!(input.choose(WORDS)?)
    } else {
        json!(input.arbitrary::<&str>()?)
    })
}

fn scalar(input: &mut Unstructured<'_>) -> Result<Value> {
    Ok(match input.int_in_range(0..=5)? {
        0 => Value::Null,
        1 => json!(input.arbitrary::<bool>()?),
        2 => json!(input.arbitrary::<i64>()?),
        3 => json!(input.arbitrary::<f64>()?),
        4 => text(input)?,
        _ => json!([{"type": text(input)?, "text": text(input)?}]),
    })
}

fn list(keys: &[&str], input: &mut Unstructured<'_>, depth: usize) -> Result<Value> {
    let length = input.int_in_range(0..=4)?;
    let items = (0..length).map(|_| object(keys, input, depth - 1));
    Ok(json!(items.collect::<Result<Vec<_>>>()?))
}

/// The first keys, which most objects need, come more often.
fn object(keys: &[&str], input: &mut Unstructured<'_>, depth: usize) -> Result<Value> {
    let mut members = Map::new();
    for (at, key) in keys.iter().enumerate() {
        if input.ratio(if at < 3 { 7u8 } else { 2 }, 8)? {
            members.insert(
                (*key).to_owned(),
                member(key, input, depth.saturating_sub(1))?,
            );
        }
    }
    Ok(Value::Object(members))
}

/// A body with some of the parameters that the dialect knows; the first ones are those that count.
pub fn body(dialect: &dyn Dialect, input: &mut Unstructured<'_>) -> Result<Value> {
    let keys = dialect.parameters().into_iter().map(|parameter| parameter.name);
    let keys: Vec<&str> = keys
        .map(|name| name.split('.').next().unwrap_or(name))
        .collect();
    object(&keys, input, 8)
}
