//! Real streams, if there are any: `OPEN_CURSOR_RECORDINGS` names their directory.

use std::{fs, path::Path};

use serde_json::Value;

use super::{decode, decode::frequent, lenient, wire::StreamLine};
use crate::agent::AgentEvent;

fn json_lines(directory: &Path) -> Vec<String> {
    let files = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let streams = files.filter(|path| path.extension().is_some_and(|end| end == "ndjson"));
    let lines: Vec<String> = streams
        .flat_map(|path| {
            fs::read_to_string(path)
                .unwrap()
                .lines()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(
        !lines.is_empty(),
        "no recordings in {}",
        directory.display()
    );
    lines
}

/// What a line must become, told by its fields alone.
fn check(value: &Value, event: &AgentEvent) -> bool {
    let text = value
        .pointer("/message/content/0/text")
        .and_then(Value::as_str);
    let is_delta = value.get("timestamp_ms").is_some() && value.get("model_call_id").is_none();
    match (value["type"].as_str(), value["subtype"].as_str(), event) {
        (Some("system"), Some("init"), AgentEvent::Started(session)) => {
            session.id.as_deref() == value["session_id"].as_str()
        }
        (Some("thinking"), Some("delta"), AgentEvent::Thinking(text)) => value["text"] == **text,
        (Some("assistant"), _, AgentEvent::TextDelta(got)) => {
            is_delta && Some(got.as_str()) == text
        }
        (Some("assistant"), _, AgentEvent::TextSegment { text: got, .. }) => {
            !is_delta && Some(got.as_str()) == text
        }
        (Some("tool_call"), Some("started"), AgentEvent::ToolStarted(call)) => {
            call.args.is_some() && call.outcome.is_none() && !call.call_id.is_empty()
        }
        (Some("tool_call"), Some("completed"), AgentEvent::ToolCompleted(call)) => {
            call.outcome.is_some() && call.kind != "unknown" && !call.call_id.is_empty()
        }
        (Some("retry"), Some("starting"), AgentEvent::Retrying) => true,
        (Some("result"), _, AgentEvent::Finished(result)) => {
            value["result"] == *result.text
                && value["is_error"] == result.is_error
                && value.get("usage").is_some() == result.usage.is_some()
        }
        (Some("user" | "interaction_query" | "connection"), _, event)
        | (Some("system"), Some("task_notification"), event)
        | (Some("thinking"), Some("completed"), event)
        | (Some("retry"), Some("resuming"), event) => *event == AgentEvent::Activity,
        _ => false,
    }
}

#[test]
#[ignore = "needs recordings of the real CLI: set OPEN_CURSOR_RECORDINGS to their directory"]
fn every_line_means_what_it_says() {
    let directory = std::env::var_os("OPEN_CURSOR_RECORDINGS").unwrap();
    for line in json_lines(Path::new(&directory)) {
        let mut events = Vec::new();
        assert_eq!(decode(line.as_bytes(), &mut events), None, "{line}");
        let [event] = &events[..] else {
            panic!("{events:?} from {line}");
        };
        let value: Value = serde_json::from_str(&line).unwrap();
        assert!(check(&value, event), "{event:?} from {line}");

        // The frequent lines take the fast path, and both paths agree.
        if !matches!(value["type"].as_str(), Some("result")) && !line.contains(r#""function""#) {
            let strict: StreamLine<'_> = serde_json::from_str(&line).unwrap();
            assert!(
                frequent(strict).is_none_or(|strict| strict == *event),
                "{line}"
            );
        }
        let Value::Object(object) = value else {
            panic!("{line}");
        };
        let mut events = Vec::new();
        lenient::decode(object, &mut events);
        assert_eq!(events, [(*event).clone()], "{line}");
    }
}
