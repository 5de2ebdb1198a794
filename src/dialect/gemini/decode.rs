//! A `generateContent` request as a [`Turn`].

use super::{encode::GeminiReply, parts};
use crate::{
    dialect::{
        PathTarget, Request, Stamp, Streaming, choices, common, content,
        field::{self, Field},
        format, limits, parameters, tools,
        tree::Tree,
    },
    turn::{Format, Message, OutputRules, Role, Turn, TurnError, in_own_words},
};

/// Reads a request body. Model and form of the answer are in the path.
pub fn request(body: &[u8], target: PathTarget, stamp: &Stamp) -> Result<Request, TurnError> {
    let value = camel(field::parse(body)?);
    let body = Field::root(&value);
    let mut ignored = parameters::ignored(&body, super::PARAMETERS)?;
    let (turn, left_out) = read(&body, target.model)?;
    ignored.extend(left_out);
    let config = body.member("generationConfig");
    let choices = choices::count(&config, "candidateCount")?;
    let streaming = target.streaming.unwrap_or(Streaming::Whole);
    let shows_thoughts = config
        .member("thinkingConfig")
        .opt_bool("includeThoughts")?;
    let reply = GeminiReply::new(
        stamp,
        &turn.model,
        streaming,
        shows_thoughts.unwrap_or(false),
    );
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
    let config = body.member("generationConfig");
    turn.output = OutputRules {
        stop: limits::stop(&config, "stopSequences")?,
        max_tokens: limits::max_tokens(&config, &["maxOutputTokens"])?,
        format: output_format(&config)?,
    };
    let level = config.member("thinkingConfig").opt_str("thinkingLevel")?;
    let level = level.filter(|level| !level.ends_with("UNSPECIFIED"));
    turn.reasoning_effort = level.map(str::to_ascii_lowercase);
    Ok((turn, left_out))
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
        _ => return Err(item.member("role").must_be("user or model")),
    };
    Ok(Message::of(role, content::parts(&item.member("parts"))?))
}

/// What the answer's text must be, from its media type and schema.
fn output_format(config: &Field<'_>) -> Result<Format, TurnError> {
    match config.opt_str("responseMimeType")?.unwrap_or("text/plain") {
        "text/plain" => Ok(Format::Text),
        "application/json" => {
            let Some(schema) = config.get_any(&["responseJsonSchema", "responseSchema"]) else {
                return Ok(Format::JsonObject);
            };
            schema.object()?;
            format::of_schema(&schema, in_own_words(schema.value.to_value()))
        }
        _ => Err(config
            .member("responseMimeType")
            .must_be("text/plain or application/json")),
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
fn camel(value: Tree<'_>) -> Tree<'_> {
    match value {
        Tree::Object(members) => {
            let members = members.into_iter().map(|(key, value)| {
                let key = camel_name(&key);
                let value = match OPAQUE.contains(&key.as_str()) {
                    true => value,
                    false => camel(value),
                };
                (key.into(), value)
            });
            Tree::Object(members.collect())
        }
        Tree::Array(items) => Tree::Array(items.into_iter().map(camel).collect()),
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
