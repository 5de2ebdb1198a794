use serde_json::json;

use super::*;

/// All events of the messages, and how it ends.
fn decode(messages: &[Value]) -> (Vec<AgentEvent>, Result<(), AgentError>) {
    let mut decoder = Decoder::new("m", vec!["a".to_owned()]);
    let mut events = Vec::new();
    for message in messages {
        if let Err(error) = decoder.message(message.to_string().as_bytes(), &mut events) {
            return (events, Err(error));
        }
    }
    (events, Ok(()))
}

fn update(kind: &str, mut update: Value) -> Value {
    update["type"] = json!(kind);
    json!({"interactionUpdate": {"type": kind, "update": update}, "offset": "1"})
}

fn result(status: &str, result: Value) -> Value {
    json!({"result": {"runId": "r", "status": format!("RUN_LIFECYCLE_STATUS_{status}"), "result": result}})
}

#[test]
fn what_is_said() {
    let whole = json!({"role": "assistant", "content": [{"type": "text", "text": "ab"}]});
    let (events, end) = decode(&[
        json!({}),
        update("thinking-delta", json!({"text": "t"})),
        update("text-delta", json!({"text": "a"})),
        update("text-delta", json!({"text": "b"})),
        json!({"sdkMessage": {"type": "assistant", "message": {"run_id": "r", "message": whole}}}),
        update("of-a-later-version", json!({"text": "x"})),
        json!({"anotherEnvelope": {"type": "x"}}),
        result("FINISHED", json!({"result": "b"})),
    ]);
    end.unwrap();
    assert_eq!(
        events,
        [
            AgentEvent::Thinking("t".to_owned()),
            AgentEvent::TextDelta("a".to_owned()),
            AgentEvent::TextDelta("b".to_owned()),
            AgentEvent::Activity,
            AgentEvent::Activity,
            AgentEvent::Finished(Box::new(RunResult {
                text: "ab".to_owned(),
                ..RunResult::default()
            })),
        ]
    );
    let (events, _) = decode(&[result("FINISHED", json!({"result": "only here"}))]);
    assert!(matches!(&events[..], [AgentEvent::Finished(result)] if result.text == "only here"));
}

#[test]
fn the_run_is_known_from_any_message() {
    for message in [
        json!({"sdkMessage": {"message": {"run_id": "r"}}}),
        result("FINISHED", json!({})),
    ] {
        let mut decoder = Decoder::new("m", Vec::new());
        decoder
            .message(message.to_string().as_bytes(), &mut Vec::new())
            .unwrap();
        assert_eq!(decoder.run_id.as_deref(), Some("r"));
    }
}

#[test]
fn custom_tools_are_not_native() {
    let call = |call: Value| {
        update(
            "tool-call-started",
            json!({"callId": "c", "modelCallId": "m", "toolCall": call}),
        )
    };
    let (events, _) = decode(&[
        call(
            json!({"type": "mcp", "args": {"providerIdentifier": "custom-user-tools", "toolName": "t"}}),
        ),
        call(json!({"type": "mcp", "args": {}})),
        call(json!({"type": "mcp", "args": {"providerIdentifier": "other", "toolName": "t"}})),
        call(json!({"type": "shell", "args": {"command": "ls"}})),
        update(
            "tool-call-completed",
            json!({"toolCall": {"type": "edit", "result": {"status": "error"}}}),
        ),
        update("tool-call-started", json!({"toolCall": "odd"})),
    ]);
    let kinds: Vec<&str> = events
        .iter()
        .map(|event| match event {
            AgentEvent::ToolStarted(call) | AgentEvent::ToolCompleted(call) => call.kind.as_str(),
            AgentEvent::Activity => "-",
            AgentEvent::ServedTool => "served",
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(kinds, ["served", "served", "mcp", "shell", "edit", "-"]);
    let AgentEvent::ToolCompleted(edit) = &events[4] else {
        panic!()
    };
    assert!(!edit.outcome.as_ref().unwrap().is_success());
}

#[test]
fn usage_is_fresh_input() {
    let usage = |input: Value, read: Value, write: Value| {
        let usage = json!({"inputTokens": input, "outputTokens": "5", "cacheReadTokens": read, "cacheWriteTokens": write});
        let (events, _) = decode(&[result("FINISHED", json!({"usage": usage}))]);
        let [AgentEvent::Finished(result)] = &events[..] else {
            panic!()
        };
        let usage = result.usage.unwrap();
        (
            usage.input,
            usage.output,
            usage.cache_read,
            usage.cache_write,
        )
    };
    assert_eq!(
        usage(json!("100"), json!("70"), json!("10")),
        (20, 5, Some(70), Some(10))
    );
    assert_eq!(
        usage(json!(100), json!(null), json!(0)),
        (100, 5, None, Some(0))
    );
    // A version that counts them apart.
    assert_eq!(
        usage(json!(100), json!(700), json!(0)),
        (100, 5, Some(700), Some(0))
    );
    let turn = |input: u64| {
        update(
            "turn-ended",
            json!({"usage": {"inputTokens": input, "outputTokens": 1}}),
        )
    };
    let (events, _) = decode(&[
        turn(1),
        update("turn-ended", json!({})),
        turn(2),
        result("FINISHED", json!({})),
    ]);
    let Some(AgentEvent::Finished(result)) = events.last() else {
        panic!()
    };
    assert_eq!(
        result.usage.map(|usage| (usage.input, usage.output)),
        Some((3, 2))
    );
}

#[test]
fn other_ends_are_errors() {
    let complaint =
        json!({"sdkMessage": {"message": {"status": "ERROR", "message": "usage limit"}}});
    for (messages, words) in [
        (vec![result("CANCELLED", json!({}))], "cancelled"),
        (vec![result("EXPIRED", json!({}))], "expired"),
        (
            vec![result(
                "ERROR",
                json!({"errorCode": "x", "errorMessage": "why"}),
            )],
            "why",
        ),
        (vec![complaint, result("ERROR", json!({}))], "usage limit"),
        (vec![result("ERROR", json!({}))], "does not name"),
        (vec![result("UNSPECIFIED", json!({}))], "does not name"),
        (vec![json!("odd")], "cannot be read"),
        (vec![json!({"interactionUpdate": 7})], "cannot be read"),
    ] {
        let error = decode(&messages).1.unwrap_err().to_string();
        assert!(error.contains(words), "{messages:?}: {error}");
    }
}
