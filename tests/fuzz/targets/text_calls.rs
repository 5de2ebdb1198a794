//! An answer's text, in any parts: the same text and calls as in one piece, and nothing lost.
//!
//! A byte `CUT` of the input is no content but the end of a part.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use open_cursor::{
    agent::AgentEvent,
    boundary::{Translator, BoundaryOptions, TextCalls, Verdict},
    turn::{Delta, FinishReason, Message, Role, ToolSpec, Turn},
};
use serde_json::json;

const CUT: u8 = 0xff;

fn tool(name: &str, arguments: &[&str]) -> ToolSpec {
    let properties: serde_json::Map<_, _> = arguments
        .iter()
        .map(|name| ((*name).to_owned(), json!({"type": "string"})))
        .collect();
    ToolSpec {
        name: name.to_owned(),
        description: String::new(),
        schema: json!({"type": "object", "properties": properties, "required": arguments}).into(),
    }
}

fn turn() -> Turn {
    Turn {
        messages: vec![Message::text(Role::User, "Please.")],
        tools: vec![
            tool("bash", &["command"]),
            tool("write", &["filePath", "content"]),
            tool("get_weather", &["city"]),
            tool("now", &[]),
        ],
        parallel_tool_calls: true,
        ..Turn::default()
    }
}

/// What the client sees.
#[derive(Debug, PartialEq)]
struct Seen {
    text: String,
    calls: Vec<(String, String)>,
    end: Option<FinishReason>,
}

fn answer<'a>(turn: &Turn, mode: TextCalls, parts: impl IntoIterator<Item = &'a str>) -> Seen {
    let options = BoundaryOptions {
        text_calls: mode,
        ..BoundaryOptions::default()
    };
    let mut boundary = Translator::new(turn, Path::new("/home/ada/engine"), &options);
    let mut deltas = Vec::new();
    let texts = parts
        .into_iter()
        .map(|part| AgentEvent::TextDelta(part.to_owned()));
    let mut end = None;
    for event in texts.chain([AgentEvent::Finished(Box::default())]) {
        match boundary.on_event(event, &mut deltas) {
            Verdict::Calls(calls) => {
                let calls = calls.into_iter().map(|ready| Delta::ToolCall(Box::new(ready.call)));
                deltas.extend(calls);
                end = Some(FinishReason::ToolCalls);
                break;
            }
            Verdict::Stop(reason) => {
                end = Some(reason);
                break;
            }
            _ => {}
        }
    }
    let (mut text, mut calls) = (String::new(), Vec::new());
    for delta in deltas {
        match delta {
            Delta::Text(more) => {
                assert!(calls.is_empty(), "text after a call");
                text.push_str(&more);
            }
            // Ids are random.
            Delta::ToolCall(call) => calls.push((call.name, call.arguments)),
            other => panic!("neither text nor a call: {other:?}"),
        }
    }
    Seen { text, calls, end }
}

/// Whether `part` is what remains of `whole` if some of it is left out.
fn is_within(part: &str, whole: &str) -> bool {
    let mut rest = whole.chars();
    part.chars().all(|c| rest.any(|other| other == c))
}

fuzz_target!(|input: &[u8]| {
    let parts: Vec<_> = input
        .split(|byte| *byte == CUT)
        .map(String::from_utf8_lossy)
        .collect();
    let whole = parts.concat();
    let turn = turn();
    for mode in [TextCalls::Off, TextCalls::Strict, TextCalls::Lenient] {
        let seen = answer(&turn, mode, [whole.as_str()]);
        assert_eq!(
            answer(&turn, mode, parts.iter().map(AsRef::as_ref)),
            seen,
            "{mode:?}"
        );
        assert_eq!(
            answer(&turn, mode, whole.split_inclusive(|_| true)),
            seen,
            "{mode:?}"
        );

        assert!(
            seen.end.is_some(),
            "{seen:?}"
        );
        // Cline's way to end an answer is the one markup that is replaced by what it says.
        if mode == TextCalls::Lenient && whole.contains("<attempt_completion>") {
            assert!(
                is_within(&seen.text, &whole),
                "{seen:?} is not of {whole:?}"
            );
        } else if seen.calls.is_empty() {
            assert_eq!(seen.text, whole);
        } else {
            let block = whole
                .strip_prefix(&seen.text)
                .expect("the text before the calls");
            let begin = block.trim_start_matches(' ').chars().next();
            assert!(
                mode != TextCalls::Off && matches!(begin, Some('<' | '[' | '`' | '~')),
                "{seen:?}"
            );
        }
    }
});
