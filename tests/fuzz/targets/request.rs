//! Any request body, in every dialect: it is decoded or refused with words, and what is decoded can
//! be made a prompt, answered and encoded.
//!
//! The input is tried as a body as it stands. It also steers the making of a body that has the
//! dialect's own parameters, which comes further than most bytes.

#![no_main]

mod body;

use std::path::Path;

use arbitrary::Unstructured;
use libfuzzer_sys::fuzz_target;
use open_cursor::{
    agent::{AgentEvent, NativeCall},
    boundary::{self, BoundaryOptions, Translator, Verdict},
    dialect::{self, Ask, Dialect, PathTarget, Stamp},
    prompt,
    turn::{Delta, ErrorKind, FinishReason, TurnEnd, TurnError},
};
use serde_json::{Value, json};

fn refused(dialect: &dyn Dialect, error: &TurnError) {
    let kinds = [ErrorKind::InvalidRequest, ErrorKind::UnknownResponse];
    assert!(kinds.contains(&error.kind), "{error:?}");
    assert!(
        !error.message.is_empty() && error.param.as_deref() != Some(""),
        "{error:?}"
    );
    let body: Value = serde_json::from_slice(&dialect.error(error)).expect("an error in JSON");
    let message = &body["error"]["message"];
    assert_eq!(message, &error.message, "{body}");
}

fn decode(dialect: &dyn Dialect, body: &[u8]) {
    let stamp = || Stamp {
        id: "1".to_owned(),
        created: 1,
        owner: None,
    };
    let request = match dialect.decode(body, PathTarget::default(), stamp()) {
        Ok(request) => request,
        Err(error) => return refused(dialect, &error),
    };
    let turn = &request.turn;
    let options = BoundaryOptions::default();
    let hint = boundary::hint(turn, options.max_repeat);
    let rendered = prompt::render(turn, None, hint.as_slice());
    for part in turn.messages.iter().flat_map(|message| &message.parts) {
        if let open_cursor::turn::Part::Text(text) = part {
            assert!(
                rendered.contains(text.trim()),
                "{text:?} is not in the prompt"
            );
        }
    }
    let mut boundary = Translator::new(turn, Path::new("/home/ada/engine"), &options);
    let call = NativeCall {
        call_id: "a\nb".to_owned(),
        kind: "shell".to_owned(),
        args: json!({"command": "ls"}).as_object().cloned(),
        ..NativeCall::default()
    };
    let events = [
        AgentEvent::TextDelta("Hello\n<tool_call>{\"name\": \"a\"}</tool_call>".to_owned()),
        AgentEvent::ToolStarted(Box::new(call)),
        AgentEvent::Finished(Box::default()),
    ];
    let mut deltas: Vec<Delta> = Vec::new();
    let mut reason = FinishReason::Stop;
    for event in events {
        match boundary.on_event(event, &mut deltas) {
            Verdict::Calls(calls) => {
                let calls = calls.into_iter().map(|ready| Delta::ToolCall(Box::new(ready.call)));
                deltas.extend(calls);
                reason = FinishReason::ToolCalls;
                break;
            }
            Verdict::Stop(_) => break,
            _ => {}
        }
    }
    let end = TurnEnd::finished(reason, None);
    let mut reply = request.reply;
    let mut out = Vec::new();
    for delta in &deltas {
        reply.delta(delta, &mut out);
    }
    reply.end(&end, &mut out);
    let out = String::from_utf8(out).expect("a stream of text");
    for line in out.lines().filter_map(|line| line.strip_prefix("data: ")) {
        let is_json = serde_json::from_str::<Value>(line).is_ok();
        assert!(is_json || line == "[DONE]", "{line}");
    }
}

fuzz_target!(|input: &[u8]| {
    for dialect in dialect::all(4) {
        let dialect = dialect.as_ref();
        decode(dialect, input);
        for path in ["/v1/messages/count_tokens", "/v1beta/models/auto:countTokens"] {
            if let Some(Ask::Compute(compute)) = dialect.route(path, "") {
                let _ = compute(input);
            }
        }
        // The second one may continue the first.
        let mut steering = Unstructured::new(input);
        for _ in 0..2 {
            if let Ok(body) = body::body(dialect, &mut steering) {
                decode(dialect, body.to_string().as_bytes());
            }
        }
    }
});
