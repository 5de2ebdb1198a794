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
mod tests;
