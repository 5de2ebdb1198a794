//! Every shape of line, one by one and at random.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    agent::{NativeOutcome, RunResult, Session},
    turn::Usage,
};

fn events(line: &str) -> Vec<AgentEvent> {
    let mut events = Vec::new();
    assert_eq!(decode(line.as_bytes(), &mut events), None, "{line}");
    events
}

fn event(line: &str) -> AgentEvent {
    let mut events = events(line);
    assert_eq!(events.len(), 1, "{line}");
    events.remove(0)
}

fn text(text: &str) -> String {
    text.to_owned()
}

#[test]
fn envelope() {
    let init = r#"{"type":"system","subtype":"init","apiKeySource":"login","session_id":"s","model":"Auto"}"#;
    let session = |id, source| {
        let own = |text: Option<&str>| text.map(str::to_owned);
        AgentEvent::Started(Box::new(Session {
            id: own(id),
            api_key_source: own(source),
        }))
    };
    let table = [
        (init, session(Some("s"), Some("login"))),
        (
            r#"{"type":"system","subtype":"init","model":7}"#,
            session(None, None),
        ),
        (
            r#"{"type":"thinking","subtype":"delta","text":"hm","timestamp_ms":1}"#,
            AgentEvent::Thinking(text("hm")),
        ),
        (
            r#"{"type":"thinking","subtype":"delta","text":""}"#,
            AgentEvent::Thinking(text("")),
        ),
        (
            r#"{"type":"retry","subtype":"starting","attempt":1}"#,
            AgentEvent::Retrying,
        ),
    ];
    for (line, expected) in table {
        assert_eq!(event(line), expected, "{line}");
    }
    for line in [
        r#"{"type":"user","message":{"role":"user","content":[{"type":"text","text":"hi"}]}}"#,
        r#"{"message":{"content":[{"text":"hi"}]},"type":"user"}"#,
        r#"{"type":"thinking","subtype":"completed"}"#,
        r#"{"type":"system","subtype":"task_notification","title":"t"}"#,
        r#"{"type":"connection","subtype":"reconnecting","attempt":1}"#,
        r#"{"type":"retry","subtype":"resuming"}"#,
        r#"{"type":"interaction_query","subtype":"request","query":{"id":0}}"#,
        r#"{"type":"hologram","text":{"a":1},"message":"x"}"#,
        r#"{"type":"tool_call","subtype":"progress","tool_call":{"shellToolCall":{}}}"#,
        r#"{"type":["odd"]}"#,
        "{}",
    ] {
        assert_eq!(event(line), AgentEvent::Activity, "{line}");
    }
}

#[test]
fn assistant_text() {
    let delta = |line: &str| event(line) == AgentEvent::TextDelta(text("a\nb"));
    let whole = |line: &str, before_tools| {
        let text = text("a\nb");
        event(line) == AgentEvent::TextSegment { text, before_tools }
    };
    let segment = |line: &str| whole(line, false);
    let message = r#""message":{"role":"assistant","content":[{"type":"text","text":"a\nb"}]}"#;
    let line = |more: &str| format!(r#"{{"type":"assistant",{message}{more}}}"#);
    assert!(delta(&line(r#","timestamp_ms":1"#)));
    assert!(delta(&line(r#","timestamp_ms":1,"model_call_id":null"#)));
    assert!(whole(
        &line(r#","timestamp_ms":1,"model_call_id":"m""#),
        true
    ));
    assert!(segment(&line("")));
    assert!(segment(&line(r#","timestamp_ms":null"#)));
    // Odd contents.
    assert!(segment(
        r#"{"type":"assistant","message":{"content":"a\nb"}}"#
    ));
    assert!(segment(r#"{"type":"assistant","message":"a\nb"}"#));
    assert!(segment(
        r#"{"type":"assistant","message":{"content":[{"text":"a\n"},{"text":"b"}]}}"#
    ));
    assert!(segment(
        r#"{"type":"assistant","message":{"content":[null,"a\n",{"text":5},{"text":"b"}]}}"#
    ));
    for empty in [
        r#"{"type":"assistant"}"#,
        r#"{"type":"assistant","message":null}"#,
        r#"{"type":"assistant","message":{"content":null}}"#,
        r#"{"type":"assistant","message":{"content":[{"type":"text","text":null}]},"timestamp_ms":1}"#,
    ] {
        assert_eq!(event(empty), AgentEvent::Activity, "{empty}");
    }
}

fn call(line: &str) -> NativeCall {
    match event(line) {
        AgentEvent::ToolStarted(call) | AgentEvent::ToolCompleted(call) => *call,
        other => panic!("{other:?}"),
    }
}

#[test]
fn tool_call_whole() {
    let line = r#"{"type":"tool_call","subtype":"completed","call_id":"c\nd","tool_call":{"hookAdditionalContexts":[],"shellToolCall":{"args":{"command":"ls"},"result":{"isBackground":false,"sandboxPolicy":{"type":1},"success":{"exitCode":0},"pid":5}},"toolCallId":"c"},"model_call_id":"m"}"#;
    let args = json!({"command": "ls"}).as_object().cloned();
    let expected = NativeCall {
        call_id: text("c\nd"),
        model_call_id: Some(text("m")),
        kind: text("shell"),
        args,
        outcome: Some(NativeOutcome {
            name: text("success"),
            body: json!({"exitCode": 0}).into(),
        }),
    };
    assert_eq!(
        event(line),
        AgentEvent::ToolCompleted(Box::new(expected.clone()))
    );
    let started = line.replace("completed", "started");
    assert_eq!(event(&started), AgentEvent::ToolStarted(Box::new(expected)));
}

#[test]
fn tool_call_shapes() {
    // (value of tool_call, kind, arguments, outcome)
    let table = [
        (
            r#"{"readToolCall":{"args":{"path":"p"}}}"#,
            "read",
            json!({"path":"p"}),
            json!(null),
        ),
        (
            r#"{"readToolCall":{"args":null,"result":null}}"#,
            "read",
            json!(null),
            json!(null),
        ),
        (
            r#"{"readToolCall":{"result":{"error":{"errorMessage":"e"}}}}"#,
            "read",
            json!(null),
            json!(["error", {"errorMessage":"e"}]),
        ),
        (
            r#"{"newToolCall":{"result":{"strange":{"x":1}}}}"#,
            "new",
            json!(null),
            json!(["strange", {"x":1}]),
        ),
        (
            r#"{"readToolCall":{"result":{"error":"text"}}}"#,
            "read",
            json!(null),
            json!(["error", "text"]),
        ),
        (
            r#"{"readToolCall":{"result":"text"}}"#,
            "read",
            json!(null),
            json!(["unknown", "text"]),
        ),
        (
            r#"{"readToolCall":{"result":{"pid":{}}}}"#,
            "read",
            json!(null),
            json!(["unknown", {"pid":{}}]),
        ),
        (
            r#"{"readToolCall":{"args":[1],"result":{"note":"n","success":{}}}}"#,
            "read",
            json!(null),
            json!(["success", {}]),
        ),
        (
            r#"{"tool":{"case":"shellToolCall","value":{"args":{"command":"ls"}}}}"#,
            "shell",
            json!({"command":"ls"}),
            json!(null),
        ),
        (
            r#"{"function":{"name":"f","arguments":"{\"a\":1}","result":{"success":{"o":2}}}}"#,
            "f",
            json!({"a":1}),
            json!(["success", {"o":2}]),
        ),
        (
            r#"{"function":{"name":"f","arguments":{"a":1}}}"#,
            "f",
            json!({"a":1}),
            json!(null),
        ),
        (
            r#"{"note":"n","weird":{"args":{"a":1}}}"#,
            "weird",
            json!({"a":1}),
            json!(null),
        ),
        (
            r#"{"shellToolCall":true}"#,
            "shell",
            json!(null),
            json!(null),
        ),
        ("[]", "unknown", json!(null), json!(null)),
    ];
    for (value, kind, args, outcome) in table {
        let call = call(&format!(
            r#"{{"type":"tool_call","subtype":"completed","call_id":"c","tool_call":{value}}}"#
        ));
        let got = call
            .outcome
            .map_or(json!(null), |o| json!([o.name, *o.body]));
        assert_eq!(
            (call.kind.as_str(), json!(call.args), got),
            (kind, args, outcome),
            "{value}"
        );
    }
    let inner = r#"{"type":"tool_call","subtype":"started","tool_call":{"lsToolCall":{"args":{"toolCallId":"x"}}}}"#;
    assert_eq!(call(inner).call_id, "x");
}

#[test]
fn results() {
    let table = [
        (
            r#""subtype":"success","is_error":false,"result":"ok""#,
            "ok",
            false,
        ),
        (r#""result":"ok""#, "ok", false),
        (
            r#""subtype":"success","is_error":true,"result":"boom""#,
            "boom",
            true,
        ),
        (
            r#""subtype":"error","error":{"message":"boom"}"#,
            "boom",
            true,
        ),
        (
            r#""subtype":"success","is_error":null,"result":null"#,
            "",
            false,
        ),
    ];
    for (fields, result, is_error) in table {
        let expected = RunResult {
            text: text(result),
            is_error,
            usage: None,
        };
        let line = format!(r#"{{"type":"result",{fields}}}"#);
        assert_eq!(
            event(&line),
            AgentEvent::Finished(Box::new(expected)),
            "{line}"
        );
    }
}

#[test]
fn usage_in_all_spellings() {
    let expected = Usage {
        input: 1,
        output: 2,
        cache_read: Some(3),
        ..Usage::default()
    };
    for fields in [
        r#""usage":{"inputTokens":1,"outputTokens":2,"cacheReadTokens":3}"#,
        r#""usage":{"input_tokens":"1","output_tokens":2.0,"cache_read_tokens":3,"cache_write_tokens":-1}"#,
        r#""inputTokens":1,"outputTokens":2,"cacheReadTokens":3"#,
        r#""usage":null,"input_tokens":1,"output_tokens":2,"cache_read_tokens":3,"cacheWriteTokens":null"#,
    ] {
        let AgentEvent::Finished(result) = event(&format!(r#"{{"type":"result",{fields}}}"#))
        else {
            panic!("{fields}");
        };
        assert_eq!(result.usage, Some(expected), "{fields}");
    }
}

#[test]
fn odd_lines() {
    let delta = r#"{"type":"assistant","message":{"content":[{"text":"x"}]},"timestamp_ms":1}"#;
    let expected = AgentEvent::TextDelta(text("x"));
    assert_eq!(event(&format!("\u{feff} {delta}\r")), expected);
    let two = format!(r#"{delta} {{"type":"retry","subtype":"starting"}}"#);
    assert_eq!(events(&two), [expected.clone(), AgentEvent::Retrying]);
    assert_eq!(events("\r"), []);
    assert_eq!(events(&delta[..40]), [], "a cut-off line");

    let mut found = Vec::new();
    let glued = format!("{delta}Error: usage limit");
    assert_eq!(
        decode(glued.as_bytes(), &mut found).as_deref(),
        Some("Error: usage limit")
    );
    assert_eq!(found, [expected]);
    for plain in ["Using worktree: /w", "42", "[1]", "null"] {
        let mut found = Vec::new();
        assert_eq!(decode(plain.as_bytes(), &mut found).as_deref(), Some(plain));
        assert_eq!(found, []);
    }
}

#[test]
fn broken_unicode() {
    let delta = |content: &[u8]| {
        let head = br#"{"type":"assistant","timestamp_ms":1,"message":{"content":[{"text":""#;
        let mut found = Vec::new();
        decode(&[head, content, br#""}]}}"#].concat(), &mut found);
        found
    };
    let is = |content: &[u8], expected: &str| {
        assert_eq!(delta(content), [AgentEvent::TextDelta(text(expected))]);
    };
    is(b"a\xffb", "a\u{fffd}b");
    is(br"a\ud83d", "a\u{fffd}");
    is(br"\uDE00b\\ud83d\u00e9", "\u{fffd}b\\ud83d\u{e9}");
    is(br"\ud83d\ud83d\ude00", "\u{fffd}\u{1f600}");
}

proptest! {
    #[test]
    fn any_bytes_decode(line in proptest::collection::vec(any::<u8>(), 0..200)) {
        decode(&line, &mut Vec::new());
    }

    /// Field names and types of the format in any combination: one event for each object.
    #[test]
    fn any_object_is_one_event(object in hostile(3)) {
        let line = object.to_string();
        let mut found = Vec::new();
        decode(line.as_bytes(), &mut found);
        prop_assert_eq!(found.len(), usize::from(object.is_object()), "{}", line);
    }

    #[test]
    fn mended_text_is_json(units in proptest::collection::vec(
        prop_oneof![Just(0xD83D_u16), Just(0xDE00), Just(0x41), Just(0x5C)], 0..12)) {
        let json: String = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
        let mended = lenient::mend_surrogates(&json);
        let parsed: String = serde_json::from_str(&format!("\"{mended}\"")).unwrap();
        prop_assert_eq!(parsed, String::from_utf16_lossy(&units));
    }
}

fn hostile(depth: u32) -> impl Strategy<Value = Value> {
    let names = "type|subtype|message|content|text|tool_call|shellToolCall|function|tool|case|value|args|result|success|error|usage|inputTokens|call_id|model_call_id|timestamp_ms|is_error|init|assistant|thinking|delta|started|completed|starting|system|user|retry";
    let leaf = prop_oneof![
        names.prop_map(Value::from),
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
    ];
    leaf.prop_recursive(depth, 64, 8, move |inner| {
        prop_oneof![
            1 => proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            4 => proptest::collection::hash_map(names, inner, 0..8)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

#[test]
fn what_old_versions_and_odd_models_write() {
    let write = r#"{"type":"tool_call","subtype":"started","call_id":"1","tool_call":{"WriteToolCall":{"input":{"filePath":"/a","contents":"x"}}}}"#;
    let call = call(write);
    assert_eq!(call.kind, "write");
    let args = call.args.unwrap();
    assert_eq!(
        (&args["path"], &args["content"]),
        (&json!("/a"), &json!("x"))
    );
    // No phase: it is over if it has a result.
    let line = |result: &str| {
        format!(
            r#"{{"type":"tool_call","call_id":"1","tool_call":{{"readToolCall":{{"args":{{"path":"/a"}}{result}}}}}}}"#
        )
    };
    assert!(matches!(event(&line("")), AgentEvent::ToolStarted(_)));
    let done = r#","result":{"success":{"content":"x"}}"#;
    assert!(matches!(event(&line(done)), AgentEvent::ToolCompleted(_)));
    // Reasoning among the text.
    let blocks = r#""message":{"role":"assistant","content":[{"type":"thinking","thinking":"hm"},{"type":"text","text":"a"}]}"#;
    assert_eq!(
        events(&format!(
            r#"{{"type":"assistant",{blocks},"timestamp_ms":1}}"#
        )),
        [
            AgentEvent::Thinking(text("hm")),
            AgentEvent::TextDelta(text("a"))
        ]
    );
    let recap = AgentEvent::TextSegment {
        text: text("a"),
        before_tools: false,
    };
    assert_eq!(
        events(&format!(r#"{{"type":"assistant",{blocks}}}"#)),
        [AgentEvent::ThinkingSegment(text("hm")), recap]
    );
}
