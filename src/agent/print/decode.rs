//! One line of stdout becomes events.

use serde_json::{Deserializer, Value};

use super::{delta, lenient, wire::StreamLine};
use crate::agent::{AgentEvent, NativeCall, Session};

/// How the echo of the prompt begins. It carries nothing and may be megabytes, so it is known by
/// its first bytes; with other key order it is parsed like any line.
const USER_ECHO: &[u8] = br#"{"type":"user""#;

/// Appends the events of one line, which is one for each JSON object in it, and returns the text
/// in it that is not JSON: a notice or an error sentence (SCHEMA 0). A cut-off object gives neither.
pub fn decode(line: &[u8], events: &mut Vec<AgentEvent>) -> Option<String> {
    let line = line
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(line)
        .trim_ascii();
    if line.is_empty() {
        return None;
    }
    if let Some(event) = delta::decode(line) {
        events.push(event);
        return None;
    }
    if line.starts_with(USER_ECHO) {
        events.push(AgentEvent::Activity);
        return None;
    }
    parse(line, events)
}

/// The same for any line that is not empty.
pub(super) fn parse(line: &[u8], events: &mut Vec<AgentEvent>) -> Option<String> {
    // A derived struct would also be read from an array.
    let strict = line
        .starts_with(b"{")
        .then(|| serde_json::from_slice::<StreamLine<'_>>(line));
    if let Some(event) = strict.and_then(Result::ok).and_then(frequent) {
        events.push(event);
        return None;
    }
    decode_leniently(line, events)
}

/// The event of a line whose shape `wire` knows; `None` for `result`, which it does not.
pub(super) fn frequent(line: StreamLine<'_>) -> Option<AgentEvent> {
    Some(match (line.kind.0.as_ref(), line.subtype.0.as_ref()) {
        ("result", _) => return None,
        ("system", "init") => AgentEvent::Started(Box::new(Session {
            id: line.session_id.map(|id| id.0.into_owned()),
            api_key_source: line.api_key_source.map(|source| source.0.into_owned()),
        })),
        ("thinking", "delta") => AgentEvent::Thinking(line.text.0.into_owned()),
        ("assistant", _) => {
            let text = line.message.content.0;
            if text.is_empty() {
                AgentEvent::Activity
            } else if line.timestamp_ms.is_some() && line.model_call_id.is_none() {
                AgentEvent::TextDelta(text.into_owned())
            } else {
                AgentEvent::TextSegment {
                    text: text.into_owned(),
                    before_tools: line.model_call_id.is_some(),
                }
            }
        }
        // Old versions name no phase.
        ("tool_call", phase @ ("started" | "completed" | "")) => {
            let tool = line.tool_call?;
            let is_over = phase == "completed" || phase.is_empty() && tool.outcome.is_some();
            let call = Box::new(NativeCall {
                call_id: line.call_id?.0.into_owned(),
                model_call_id: line.model_call_id.map(|id| id.0.into_owned()),
                kind: tool.kind,
                args: tool.args,
                outcome: tool.outcome,
            });
            if is_over {
                AgentEvent::ToolCompleted(call)
            } else {
                AgentEvent::ToolStarted(call)
            }
        }
        ("retry", "starting") => AgentEvent::Retrying,
        _ => AgentEvent::Activity,
    })
}

/// The same for any other line: several objects, odd types, bytes that are not UTF-8, no JSON.
fn decode_leniently(line: &[u8], events: &mut Vec<AgentEvent>) -> Option<String> {
    let text = String::from_utf8_lossy(line);
    let text = lenient::mend_surrogates(&text);
    let mut values = Deserializer::from_str(&text).into_iter::<Value>();
    let mut end = 0;
    while let Some(Ok(Value::Object(object))) = values.next() {
        end = values.byte_offset();
        lenient::decode(object, events);
    }
    let rest = text[end..].trim();
    (!rest.is_empty() && !rest.starts_with('{')).then(|| rest.to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
