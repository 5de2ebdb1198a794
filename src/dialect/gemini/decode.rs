//! A `generateContent` request as a [`Turn`].

use serde_json::Value;

use super::{encode::GeminiReply, parts};
use crate::{
    dialect::{
        PathTarget, Request, Stamp, Streaming, choices, common, content,
        field::{self, Field},
        limits, parameters, tools,
    },
    turn::{Format, Message, OutputRules, Role, Turn, TurnError},
};

/// Reads a request body. Model and form of the answer are in the path.
pub fn request(body: &[u8], target: PathTarget, stamp: &Stamp) -> Result<Request, TurnError> {
    let value = camel(field::parse(body)?);
    let body = Field::root(&value);
    let mut ignored = parameters::ignored(&body, super::PARAMETERS)?;
    let (turn, left_out) = read(&body, target.model)?;
    ignored.extend(left_out);
    let config = body.get("generationConfig");
    let choices = match &config {
        Some(config) => choices::count(config, "candidateCount")?,
        None => 1,
    };
    let streaming = target.streaming.unwrap_or(Streaming::Whole);
    let shows_thoughts = match thinking(&body) {
        Some(thinking) => thinking.opt_bool("includeThoughts")?.unwrap_or(false),
        None => false,
    };
    let reply = GeminiReply::new(stamp, &turn.model, streaming, shows_thoughts);
    Ok(Request {
        others: std::iter::repeat_n(&turn, choices - 1).cloned().collect(),
        stream: streaming != Streaming::Whole,
        ignored,
        reply: Box::new(reply),
        turn,
    })
}

/// The turn whose tokens a `countTokens` request counts: its contents, or a whole request in it.
pub fn counted(body: &[u8]) -> Result<Turn, TurnError> {
    let value = camel(field::parse(body)?);
    let body = Field::root(&value);
    let inner = body.get("generateContentRequest");
    Ok(read(&inner.unwrap_or(body), None)?.0)
}

/// The turn, and the tools that are left out.
fn read(body: &Field<'_>, model: Option<String>) -> Result<(Turn, Vec<String>), TurnError> {
    let mut turn = common::turn(body)?;
    if let Some(model) = model {
        turn.model = model;
    }
    if let Some(name) = turn.model.strip_prefix("models/") {
        turn.model = name.to_owned();
    }
    // Calls are written alike, whatever form their tool was offered in.
    let (_forms, left_out) = tools::read(body, &mut turn)?;
    turn.messages = messages(body)?;
    if let Some(config) = body.get("generationConfig") {
        turn.output = OutputRules {
            stop: limits::stop(&config, "stopSequences")?,
            max_tokens: limits::max_tokens(&config, &["maxOutputTokens"])?,
            format: format(&config)?,
        };
    }
    if let Some(thinking) = thinking(body) {
        let level = thinking.opt_str("thinkingLevel")?;
        let level = level.filter(|level| !level.ends_with("UNSPECIFIED"));
        turn.reasoning_effort = level.map(str::to_ascii_lowercase);
    }
    Ok((turn, left_out))
}

fn thinking<'a>(body: &Field<'a>) -> Option<Field<'a>> {
    body.get("generationConfig")?.get("thinkingConfig")
}

/// The conversation in `systemInstruction` and `contents`.
fn messages(body: &Field<'_>) -> Result<Vec<Message>, TurnError> {
    let mut messages = Vec::new();
    if let Some(system) = body.get("systemInstruction") {
        let parts = system.get("parts").unwrap_or(system);
        messages.push(Message::of(Role::System, content::parts(&parts)?));
    }
    let list = body.require("contents")?;
    let before = messages.len();
    if list.value.is_array() {
        for item in list.items()? {
            messages.push(message(&item)?);
        }
    } else {
        messages.push(message(&list)?);
    }
    if messages.len() == before {
        return Err(list.fail("must hold at least one content"));
    }
    parts::pair(&mut messages);
    Ok(messages)
}

fn message(item: &Field<'_>) -> Result<Message, TurnError> {
    if item.value.is_string() {
        return Ok(Message::text(Role::User, item.str()?));
    }
    item.object()?;
    let role = match item.opt_str("role")?.unwrap_or("user") {
        "user" | "function" | "tool" | "" => Role::User,
        "model" | "assistant" => Role::Assistant,
        "system" => Role::System,
        other => {
            let role = item.require("role")?;
            return Err(role.fail(format_args!("must be user or model, not `{other}`")));
        }
    };
    let parts = match item.get("parts") {
        Some(parts) => content::parts(&parts)?,
        None => Vec::new(),
    };
    Ok(Message::of(role, parts))
}

/// What the answer's text must be, from its media type and schema.
fn format(config: &Field<'_>) -> Result<Format, TurnError> {
    match config.opt_str("responseMimeType")?.unwrap_or("text/plain") {
        "text/plain" => Ok(Format::Text),
        "application/json" => {
            let Some(schema) = config.get_any(&["responseJsonSchema", "responseSchema"]) else {
                return Ok(Format::JsonObject);
            };
            schema.object()?;
            let value = tools::json_schema(schema.value.clone());
            jsonschema::validator_for(&value).map_err(|error| {
                schema.fail(format_args!("is not a valid JSON Schema: {error}"))
            })?;
            Ok(Format::JsonSchema(value))
        }
        other => {
            let field = config.require("responseMimeType")?;
            Err(field.fail(format_args!(
                "must be text/plain or application/json, not `{other}`"
            )))
        }
    }
}

/// Members whose names are not Google's.
const OPAQUE: &[&str] = &[
    "args",
    "response",
    "parameters",
    "parametersJsonSchema",
    "responseSchema",
    "responseJsonSchema",
    "labels",
];

/// Names in camel case: Google's API takes `system_instruction` for `systemInstruction`.
fn camel(value: Value) -> Value {
    match value {
        Value::Object(members) => members
            .into_iter()
            .map(|(key, value)| {
                let key = camel_name(&key);
                let value = match OPAQUE.contains(&key.as_str()) {
                    true => value,
                    false => camel(value),
                };
                (key, value)
            })
            .collect(),
        Value::Array(items) => items.into_iter().map(camel).collect(),
        other => other,
    }
}

fn camel_name(name: &str) -> String {
    let mut words = name.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    // A name that begins or ends with `_`, or holds two, is nobody's snake case.
    if name.split('_').any(str::is_empty) {
        return name.to_owned();
    }
    for word in words {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::turn::{ErrorKind, ToolChoice};

    fn read_request(body: &Value) -> Result<Request, TurnError> {
        let stamp = Stamp {
            id: "1".to_owned(),
            created: 1,
        };
        let target = PathTarget {
            model: Some("models/gemini-3-pro".to_owned()),
            streaming: Some(Streaming::Events),
        };
        request(body.to_string().as_bytes(), target, &stamp)
    }

    #[test]
    fn a_tool_loop() {
        let request = read_request(&json!({
            "system_instruction": {"parts": [{"text": "be brief"}]},
            "contents": [
                {"role": "user", "parts": [{"text": "read a"}]},
                {"role": "model", "parts": [
                    {"text": "hm", "thought": true},
                    {"text": "I will."},
                    {"functionCall": {"name": "read_file", "args": {"file_path": "a"}}, "thoughtSignature": "x"},
                ]},
                {"role": "user", "parts": [
                    {"functionResponse": {"name": "read_file", "response": {"output": "hello"}}},
                ]},
            ],
            "tools": [{"functionDeclarations": [
                {"name": "read_file", "description": "reads", "parameters": {
                    "type": "OBJECT", "properties": {"file_path": {"type": "STRING", "nullable": true}}}},
                {"name": "other"},
            ]}, {"googleSearch": {}}],
            "toolConfig": {"functionCallingConfig": {"mode": "VALIDATED", "allowedFunctionNames": ["read_file"]}},
            "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
            "generation_config": {
                "max_output_tokens": 99, "stopSequences": ["END"], "temperature": 0,
                "thinkingConfig": {"includeThoughts": true, "thinkingBudget": 8192, "thinkingLevel": "HIGH"},
                "responseMimeType": "application/json", "responseSchema": {"type": "OBJECT"},
                "someday": 1,
            },
        }))
        .unwrap();
        assert!(request.stream);
        assert_eq!(
            request.ignored,
            [
                "generationConfig.temperature",
                "generationConfig.someday",
                "tools.googleSearch"
            ]
        );
        let turn = request.turn;
        assert_eq!(turn.model, "gemini-3-pro");
        let roles: Vec<Role> = turn.messages.iter().map(|message| message.role).collect();
        assert_eq!(
            roles,
            [Role::System, Role::User, Role::Assistant, Role::Tool]
        );
        assert_eq!(turn.messages[2].parts.len(), 2, "thoughts are left out");
        let call = turn.messages[2].tool_calls().next().unwrap();
        assert_eq!(call.arguments, r#"{"file_path":"a"}"#);
        let result = turn.messages[3].tool_results().next().unwrap();
        assert_eq!(
            (&result.call_id, result.content.as_str()),
            (&call.id, "hello")
        );
        assert_eq!(turn.tools.len(), 1);
        assert_eq!(
            turn.tools[0].schema["properties"]["file_path"]["type"],
            json!(["string", "null"])
        );
        assert_eq!(turn.tool_choice, ToolChoice::Auto);
        assert!(turn.parallel_tool_calls);
        assert_eq!(turn.reasoning_effort.as_deref(), Some("high"));
        assert_eq!(
            turn.output,
            OutputRules {
                stop: vec!["END".to_owned()],
                max_tokens: Some(99),
                format: Format::JsonSchema(json!({"type": "object"})),
            }
        );
    }

    #[test]
    fn modes_of_calling() {
        for (config, wanted) in [
            (json!({}), ToolChoice::Auto),
            (json!({"mode": "MODE_UNSPECIFIED"}), ToolChoice::Auto),
            (json!({"mode": "NONE"}), ToolChoice::None),
            (json!({"mode": "ANY"}), ToolChoice::Required),
            (
                json!({"mode": "any", "allowed_function_names": ["a"]}),
                ToolChoice::Named(vec!["a".to_owned()]),
            ),
        ] {
            let turn = read_request(&json!({
                "contents": "hi",
                "tools": [{"function_declarations": [{"name": "a"}, {"name": "b"}]}],
                "tool_config": {"function_calling_config": config},
            }))
            .unwrap()
            .turn;
            assert_eq!(turn.tool_choice, wanted, "{config}");
        }
    }

    #[test]
    fn names_in_arguments_stay() {
        let turn = read_request(&json!({"contents": [
            {"parts": [{"function_call": {"name": "a_b", "args": {"c_d": {"e_f": 1}}}}]},
        ]}))
        .unwrap()
        .turn;
        let call = turn.messages[0].tool_calls().next().unwrap();
        assert_eq!(
            (call.name.as_str(), call.arguments.as_str()),
            ("a_b", r#"{"c_d":{"e_f":1}}"#)
        );
    }

    #[test]
    fn several_candidates_are_several_turns() {
        let body = json!({"contents": "hi", "generationConfig": {"candidateCount": 3}});
        let request = read_request(&body).unwrap();
        assert_eq!(request.others.len(), 2);
    }

    #[test]
    fn tokens_are_counted_in_both_forms() {
        let contents = json!([{"role": "user", "parts": [{"text": "12345678"}]}]);
        for body in [
            json!({"contents": contents}),
            json!({"generateContentRequest": {"model": "models/m", "contents": contents}}),
        ] {
            let count = super::super::count_tokens(body.to_string().as_bytes()).unwrap();
            let count: Value = serde_json::from_slice(&count).unwrap();
            assert_eq!(count["totalTokens"], 2, "{body}");
        }
    }

    #[test]
    fn faults_are_named_by_path() {
        let with = |key: &str, value: Value| json!({"contents": "hi", key: value});
        let config = |key: &str, value: Value| with("generationConfig", json!({ key: value }));
        let part = |part: Value| json!({"contents": [{"parts": [part]}]});
        for (body, path) in [
            (json!({}), "contents"),
            (json!({"contents": []}), "contents"),
            (json!({"contents": [3]}), "contents[0]"),
            (
                json!({"contents": [{"role": "pope", "parts": []}]}),
                "contents[0].role",
            ),
            (part(json!({"executableCode": {}})), "contents[0].parts[0]"),
            (
                part(json!({"functionCall": {"args": {}}})),
                "contents[0].parts[0].functionCall.name",
            ),
            (
                part(json!({"inlineData": {"mimeType": "image/png", "data": "!"}})),
                "contents[0].parts[0].inlineData.data",
            ),
            (
                part(json!({"fileData": {"fileUri": "gs://a"}})),
                "contents[0].parts[0].fileData.fileUri",
            ),
            (
                config("candidateCount", json!(9)),
                "generationConfig.candidateCount",
            ),
            (
                config("maxOutputTokens", json!("x")),
                "generationConfig.maxOutputTokens",
            ),
            (
                config("responseMimeType", json!("text/x.enum")),
                "generationConfig.responseMimeType",
            ),
            (
                config("responseLogprobs", json!(true)),
                "generationConfig.responseLogprobs",
            ),
            (with("generationConfig", json!(3)), "generationConfig"),
            (
                with("cachedContent", json!("cachedContents/1")),
                "cachedContent",
            ),
            (with("tools", json!([{"codeExecution": {}}])), "tools[0]"),
            (
                with(
                    "toolConfig",
                    json!({"functionCallingConfig": {"mode": "SOME"}}),
                ),
                "toolConfig.functionCallingConfig",
            ),
        ] {
            let Err(error) = read_request(&body) else {
                panic!("accepted: {body}");
            };
            assert_eq!(error.kind, ErrorKind::InvalidRequest);
            assert_eq!(error.param.as_deref(), Some(path), "{body}");
        }
    }
}
