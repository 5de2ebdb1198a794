//! Lines of an unexpected shape, read as trees: any field may be missing, null or of another type.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{
    decode::frequent,
    wire::{BESIDE_OUTCOME, StreamLine, Text, TextContent, WireMessage, WireTool},
};
use crate::agent::{AgentEvent, NativeOutcome, RunResult, usage};

type Object = Map<String, Value>;

/// Appends the events of any JSON object.
pub(super) fn decode(mut object: Object, events: &mut Vec<AgentEvent>) {
    let thought = object.get_mut("message").map(thought).unwrap_or_default();
    let is_delta = object.contains_key("timestamp_ms") && !object.contains_key("model_call_id");
    if !thought.is_empty() {
        events.push(match is_delta {
            true => AgentEvent::Thinking(thought),
            false => AgentEvent::ThinkingSegment(thought),
        });
    }
    events.push(event(object));
}

/// Takes the reasoning out of a message, which some models put among its text.
fn thought(message: &mut Value) -> String {
    let Some(parts) = message.get_mut("content").and_then(Value::as_array_mut) else {
        return String::new();
    };
    let is_thought = |part: &Value| {
        let kind = part.get("type").and_then(Value::as_str);
        matches!(kind, Some("thinking" | "reasoning" | "redacted_thinking"))
    };
    let text = |part: &Value| {
        let found = ["thinking", "reasoning", "text"]
            .iter()
            .find_map(|key| part.get(*key)?.as_str());
        found.unwrap_or_default().to_owned()
    };
    let is_told = |part: &&Value| is_thought(part);
    let thoughts = parts.iter().filter(is_told).map(text).collect();
    parts.retain(|part| !is_thought(part));
    thoughts
}

fn event(mut object: Object) -> AgentEvent {
    let kind = string(&mut object, "type").unwrap_or_default();
    let subtype = string(&mut object, "subtype").unwrap_or_default();
    if kind == "result" {
        return AgentEvent::Finished(Box::new(finished(&subtype, object)));
    }
    frequent(line(kind, subtype, object)).unwrap_or(AgentEvent::Activity)
}

/// The object in the terms of `wire`, so that its meaning is decided in one place.
fn line(kind: String, subtype: String, mut object: Object) -> StreamLine<'static> {
    let message = object.remove("message").unwrap_or_default();
    let content = match message {
        Value::Object(mut message) => message.remove("content").unwrap_or_default(),
        other => other,
    };
    let tool_call = object.remove("tool_call");
    let call_id = string(&mut object, "call_id")
        .or_else(|| tool_call_id(tool_call.as_ref()?))
        .unwrap_or_default();
    StreamLine {
        kind: owned(kind),
        subtype: owned(subtype),
        text: owned(object.remove("text").map(joined).unwrap_or_default()),
        message: WireMessage {
            content: TextContent(Cow::Owned(joined(content))),
        },
        timestamp_ms: object
            .get("timestamp_ms")
            .filter(|stamp| !stamp.is_null())
            .map(|_| serde::de::IgnoredAny),
        model_call_id: string(&mut object, "model_call_id").map(owned),
        call_id: Some(owned(call_id)),
        tool_call: tool_call.map(tool),
        session_id: string(&mut object, "session_id").map(owned),
        api_key_source: string(&mut object, "apiKeySource").map(owned),
    }
}

fn owned(text: String) -> Text<'static> {
    Text(Cow::Owned(text))
}

/// Takes a field if it is a string.
fn string(object: &mut Object, key: &str) -> Option<String> {
    match object.remove(key)? {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// The text in a string, a part or a list of parts; other values hold none.
fn joined(value: Value) -> String {
    match value {
        Value::String(text) => text,
        Value::Array(parts) => parts.into_iter().map(joined).collect(),
        Value::Object(mut part) => string(&mut part, "text").unwrap_or_default(),
        _ => String::new(),
    }
}

/// The call's id where the envelope lacks it.
fn tool_call_id(tool_call: &Value) -> Option<String> {
    let inner = tool_call.as_object()?.values().next();
    tool_call
        .get("toolCallId")
        .or_else(|| inner?.get("args")?.get("toolCallId"))?
        .as_str()
        .map(str::to_owned)
}

/// All the shapes of `tool_call` (SCHEMA 3). One that says nothing is of kind `unknown`.
fn tool(value: Value) -> WireTool {
    let mut tool = WireTool {
        kind: "unknown".to_owned(),
        args: None,
        outcome: None,
    };
    let Value::Object(mut object) = value else {
        return tool;
    };
    let has_body = |value: &Value| {
        ["args", "input", "result"]
            .iter()
            .any(|key| value.get(*key).is_some())
    };
    let key = object.keys().find(|key| key.ends_with("ToolCall"));
    let key = key
        .or_else(|| object.keys().find(|key| *key == "function"))
        .or_else(|| object.keys().find(|key| *key == "tool"))
        .or_else(|| {
            object
                .iter()
                .find(|(_, body)| has_body(body))
                .map(|(key, _)| key)
        })
        .cloned();
    let Some(key) = key else {
        return tool;
    };
    let Some(Value::Object(mut body)) = object.remove(&key) else {
        tool.kind = kind(key);
        return tool;
    };
    tool.kind = match key.as_str() {
        "function" => string(&mut body, "name").unwrap_or(key),
        "tool" => {
            let case = string(&mut body, "case").unwrap_or(key);
            if let Some(Value::Object(value)) = body.remove("value") {
                body = value;
            }
            kind(case)
        }
        _ => kind(key),
    };
    let args = ["args", "arguments", "input"]
        .iter()
        .find_map(|key| body.remove(*key));
    tool.args = args
        .and_then(arguments)
        .map(|args| match tool.kind.as_str() {
            "write" | "edit" => file_arguments(args),
            _ => args,
        });
    tool.outcome = body.remove("result").and_then(outcome);
    tool
}

/// `shell` of `shellToolCall` or, as old versions have it, `ShellToolCall`.
fn kind(key: String) -> String {
    let Some(kind) = key.strip_suffix("ToolCall") else {
        return key;
    };
    let mut chars = kind.chars();
    let first = chars.next().map(|c| c.to_ascii_lowercase());
    first.into_iter().chain(chars).collect()
}

/// What old versions call the arguments of tools that write files, under today's names.
fn file_arguments(args: Object) -> Object {
    let name = |key: String| match key.as_str() {
        "filePath" | "file_path" | "target_file" => "path".to_owned(),
        "contents" | "file_text" => "content".to_owned(),
        _ => key,
    };
    args.into_iter()
        .map(|(key, value)| (name(key), value))
        .collect()
}

/// Arguments as an object or as the text of one.
fn arguments(value: Value) -> Option<Object> {
    match value {
        Value::Object(args) => Some(args),
        Value::String(text) => serde_json::from_str(&text).ok(),
        _ => None,
    }
}

/// The outcome of a result: its first object beside the known siblings, else its first other
/// field; what has no fields is of the unknown kind, which is not a success.
fn outcome(result: Value) -> Option<NativeOutcome> {
    let unknown = |body: Value| NativeOutcome {
        name: "unknown".to_owned(),
        body: body.into(),
    };
    match result {
        Value::Null => None,
        Value::Object(mut arms) => {
            let mut names = arms
                .iter()
                .filter(|(name, _)| !BESIDE_OUTCOME.contains(&name.as_str()));
            let first = names.clone().next();
            let name = names.find(|(_, body)| body.is_object()).or(first);
            Some(match name.map(|(name, _)| name.clone()) {
                Some(name) => NativeOutcome {
                    body: arms.remove(&name).unwrap_or_default().into(),
                    name,
                },
                None => unknown(Value::Object(arms)),
            })
        }
        other => Some(unknown(other)),
    }
}

fn finished(subtype: &str, mut object: Object) -> RunResult {
    let is_error = match object.get("is_error") {
        Some(Value::Bool(is_error)) => *is_error,
        _ => false,
    } || !matches!(subtype, "" | "success");
    // Failing `usage`, the event itself may have the counts.
    let usage = usage::of(
        object
            .get("usage")
            .and_then(Value::as_object)
            .unwrap_or(&object),
    );
    let mut text = object.remove("result").map(joined).unwrap_or_default();
    if is_error && text.is_empty() {
        let error = object.remove("error").or_else(|| object.remove("message"));
        text = match error {
            Some(Value::Object(mut error)) => string(&mut error, "message").unwrap_or_default(),
            Some(Value::String(error)) => error,
            _ => text,
        };
    }
    RunResult {
        text,
        is_error,
        usage,
    }
}

/// Replaces the `\uD83D` halves that stand alone, which `serde_json` refuses. JavaScript writes
/// them when a delta ends between the two halves of a character.
pub(super) fn mend_surrogates(json: &str) -> Cow<'_, str> {
    if !json.contains("\\ud") && !json.contains("\\uD") {
        return Cow::Borrowed(json);
    }
    let unit = |rest: &str| {
        let digits = rest.strip_prefix("\\u")?.get(..4)?;
        u16::from_str_radix(digits, 16).ok()
    };
    let mut mended = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        mended.push_str(&rest[..at]);
        rest = &rest[at..];
        let length = match unit(rest) {
            Some(0xD800..=0xDBFF)
                if matches!(rest.get(6..).and_then(unit), Some(0xDC00..=0xDFFF)) =>
            {
                12
            }
            Some(0xD800..=0xDFFF) => {
                mended.push('\u{FFFD}');
                rest = &rest[6..];
                continue;
            }
            Some(_) => 6,
            None => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
        };
        mended.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    mended.push_str(rest);
    Cow::Owned(mended)
}
