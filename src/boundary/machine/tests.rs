use serde_json::json;

use super::*;
use crate::agent::RunResult;
use crate::boundary::Mode;
use crate::boundary::testing::{
    WORKSPACE, calls, done, finished, map, native, opencode, run, tool, turn,
};
use crate::turn::{ToolChoice, ToolSpec};

fn text(text: &str) -> AgentEvent {
    AgentEvent::TextDelta(text.to_owned())
}

fn started(kind: &str, id: &str, args: Value) -> AgentEvent {
    AgentEvent::ToolStarted(native(kind, id, args))
}

fn tool_calls(outcome: &crate::boundary::testing::Outcome) -> bool {
    outcome
        .end
        .as_ref()
        .is_some_and(|end| end.outcome == Ok(FinishReason::ToolCalls))
}

#[test]
fn a_plain_answer_is_passed_on_with_its_usage() {
    let events = [
        AgentEvent::Thinking("hm".to_owned()),
        AgentEvent::Thinking(String::new()),
        text("do"),
        text("ne"),
        AgentEvent::TextSegment("done".to_owned()),
        AgentEvent::Finished(RunResult {
            text: "done".to_owned(),
            usage: Some(RunUsage {
                input: 7,
                output: 2,
                cache_read: Some(3),
                ..RunUsage::default()
            }),
            ..RunResult::default()
        }),
    ];
    let outcome = run(&turn(vec![]), &Options::default(), events);
    assert_eq!(
        outcome.deltas,
        [
            Delta::Reasoning("hm".to_owned()),
            Delta::Text("do".to_owned()),
            Delta::Text("ne".to_owned()),
        ]
    );
    let end = outcome.end.unwrap();
    assert_eq!(end.outcome, Ok(FinishReason::Stop));
    let usage = end.usage.unwrap();
    assert_eq!(
        (usage.input, usage.cache_read, usage.cost),
        (7, Some(3), None)
    );
}

#[test]
fn parallel_calls_go_out_together_after_the_text_before_them() {
    let read = native("read", "a\nb", json!({"path": "a.rs"}));
    let events = [
        text("Looking."),
        AgentEvent::ToolStarted(read.clone()),
        started("shell", "c", json!({"command": "ls"})),
        done(&read, "success", json!({"content": "x"})),
        AgentEvent::Thinking("next".to_owned()),
        text("never seen"),
    ];
    let outcome = run(&turn(opencode()), &Options::default(), events);
    assert_eq!(outcome.text(), "Looking.");
    assert_eq!(
        outcome.named(),
        [
            (
                "read".to_owned(),
                json!({"filePath": "/home/ada/engine/a.rs"})
            ),
            ("bash".to_owned(), json!({"command": "ls"})),
        ]
    );
    let ids: Vec<_> = outcome.calls().iter().map(|call| &call.id).collect();
    assert!(ids[0] != ids[1] && ids.iter().all(|id| id.starts_with("call_")));
    assert!(tool_calls(&outcome));
}

#[test]
fn a_batch_ends_where_the_model_is_asked_again() {
    let second = NativeCall {
        model_call_id: Some("request-1".to_owned()),
        ..native("shell", "b", json!({"command": "date"}))
    };
    let events = [
        started("shell", "a", json!({"command": "ls"})),
        AgentEvent::ToolStarted(second),
    ];
    let outcome = run(&turn(opencode()), &Options::default(), events);
    assert_eq!(
        outcome.named(),
        [("bash".to_owned(), json!({"command": "ls"}))]
    );
}

#[test]
fn without_request_ids_a_completion_separates_batches() {
    let bare = |id: &str| NativeCall {
        model_call_id: None,
        ..native("shell", id, json!({"command": id}))
    };
    let all = [
        AgentEvent::ToolStarted(bare("a")),
        AgentEvent::Activity,
        AgentEvent::ToolStarted(bare("b")),
        done(&bare("a"), "success", json!({})),
        AgentEvent::ToolStarted(bare("c")),
    ];
    let outcome = run(&turn(opencode()), &Options::default(), all);
    let names: Vec<_> = outcome
        .named()
        .iter()
        .map(|(_, args)| args["command"].clone())
        .collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn verdicts_tell_the_engine_when_to_settle() {
    let mut boundary = Boundary::new(&turn(opencode()), Path::new(WORKSPACE), &Options::default());
    let mut out = Vec::new();
    assert_eq!(boundary.on_event(text("x"), &mut out), Verdict::Continue);
    assert_eq!(boundary.settle(&mut out), Verdict::Continue);
    let call = started("shell", "a", json!({"command": "ls", "timeout": 60000}));
    assert_eq!(boundary.on_event(call, &mut out), Verdict::Settling);
    assert_eq!(
        boundary.on_event(AgentEvent::Activity, &mut out),
        Verdict::Settling
    );
    assert_eq!(
        boundary.open_tool(),
        Some(OpenTool {
            name: "shell".to_owned(),
            timeout: Some(Duration::from_secs(60)),
        })
    );
    assert!(matches!(boundary.settle(&mut out), Verdict::End(_)));
    assert_eq!(out.len(), 2);
    assert_eq!(boundary.on_event(text("late"), &mut out), Verdict::Continue);
    assert_eq!(out.len(), 2);
}

#[test]
fn one_call_only_where_the_client_takes_one() {
    let mut turn = turn(opencode());
    turn.parallel_tool_calls = false;
    let events = [
        started("read", "a", json!({"path": "/a"})),
        started("read", "b", json!({"path": "/b"})),
    ];
    assert_eq!(run(&turn, &Options::default(), events).calls().len(), 1);
}

#[test]
fn nothing_is_emitted_that_the_client_does_not_offer() {
    let only_read: Vec<ToolSpec> = opencode()
        .into_iter()
        .filter(|t| t.name == "read")
        .collect();
    let mut none = turn(opencode());
    none.tool_choice = ToolChoice::None;
    let mut other = turn(opencode());
    other.tool_choice = ToolChoice::Named(vec!["read".to_owned()]);
    for turn in [turn(vec![]), turn(only_read), none, other] {
        let shell = native("shell", "a", json!({"command": "ls"}));
        let events = [
            text("a"),
            AgentEvent::ToolStarted(shell.clone()),
            done(&shell, "rejected", json!({"reason": ""})),
            text("b"),
            finished("ab"),
        ];
        let outcome = run(&turn, &Options::default(), events);
        assert_eq!(outcome.text(), "ab");
        assert_eq!(outcome.calls().len(), 0);
        assert_eq!(outcome.end.unwrap().outcome, Ok(FinishReason::Stop));
    }
}

#[test]
fn a_completion_announces_a_call_only_with_arguments() {
    let bare = native("task", "a", Value::Null);
    let outcome = run(
        &turn(opencode()),
        &Options::default(),
        [
            done(&bare, "error", json!({"error": "Invalid arguments"})),
            finished(""),
        ],
    );
    assert_eq!(outcome.calls().len(), 0);

    let full = native("shell", "a", json!({"command": "ls"}));
    let outcome = run(
        &turn(opencode()),
        &Options::default(),
        [done(&full, "rejected", json!({}))],
    );
    assert_eq!(outcome.calls().len(), 1);
}

#[test]
fn announcement_and_completion_are_one_call() {
    let shell = native("shell", "a", json!({"command": "ls"}));
    let events = [
        AgentEvent::ToolStarted(shell.clone()),
        AgentEvent::ToolStarted(shell.clone()),
        done(&shell, "success", json!({"stdout": ""})),
        finished(""),
    ];
    let outcome = run(&turn(opencode()), &Options::default(), events);
    assert_eq!(outcome.calls().len(), 1);
}

#[test]
fn an_edit_waits_for_its_change() {
    let edit = native("edit", "e", json!({"path": "/home/ada/engine/new.txt"}));
    let mut boundary = Boundary::new(&turn(opencode()), Path::new(WORKSPACE), &Options::default());
    let mut out = Vec::new();
    let verdict = boundary.on_event(AgentEvent::ToolStarted(edit.clone()), &mut out);
    assert_eq!(verdict, Verdict::Continue);
    let event = done(
        &edit,
        "success",
        json!({"path": "/home/ada/engine/new.txt", "afterFullFileContent": "hi\n"}),
    );
    assert_eq!(boundary.on_event(event, &mut out), Verdict::Settling);
    assert!(matches!(boundary.settle(&mut out), Verdict::End(_)));
    let [Delta::ToolCall(call)] = out.as_slice() else {
        panic!("{out:?}")
    };
    assert_eq!(call.name, "write");
    let arguments: Value = serde_json::from_str(&call.arguments).unwrap();
    assert_eq!(
        arguments,
        json!({"filePath": "/home/ada/engine/new.txt", "content": "hi\n"})
    );
}

#[test]
fn a_failed_edit_is_no_call() {
    let edit = native("edit", "e", json!({"path": "/a", "streamContent": "x"}));
    let events = [
        AgentEvent::ToolStarted(edit.clone()),
        done(&edit, "error", json!({"error": "no"})),
        text("Could not."),
        finished("Could not."),
    ];
    let outcome = run(&turn(opencode()), &Options::default(), events);
    assert_eq!(outcome.calls().len(), 0);
    assert_eq!(outcome.text(), "Could not.");
}

#[test]
fn an_edit_with_its_old_text_is_exact_at_once() {
    let args = json!({
        "path": "src/a.rs",
        "strReplace": {"oldText": "one", "newText": "two", "replaceAll": false},
    });
    assert_eq!(
        calls(opencode(), "edit", args),
        [(
            "edit".to_owned(),
            json!({"filePath": "/home/ada/engine/src/a.rs", "oldString": "one", "newString": "two"})
        )]
    );
    let empty = json!({"path": "a", "strReplace": {"oldText": "", "newText": "two"}});
    assert_eq!(calls(opencode(), "edit", empty), []);
}

#[test]
fn invalid_calls_are_forwarded_or_end_the_turn_with_the_reason() {
    let odd = || {
        vec![tool(
            "lookup",
            "",
            json!({"n": {"type": "integer"}}),
            &["n"],
        )]
    };
    let event = || {
        AgentEvent::ToolStarted(NativeCall {
            args: Some(map(json!({"n": "many"}))),
            ..native("lookup", "a", Value::Null)
        })
    };
    let outcome = run(&turn(odd()), &Options::default(), [event()]);
    assert_eq!(
        outcome.named(),
        [("lookup".to_owned(), json!({"n": "many"}))]
    );
    let strict = Options {
        auto_fallback: false,
        ..Options::default()
    };
    let outcome = run(&turn(odd()), &strict, [event()]);
    assert_eq!(outcome.calls().len(), 0);
    assert!(
        outcome.text().contains("n must be integer"),
        "{}",
        outcome.text()
    );
    assert_eq!(outcome.end.unwrap().outcome, Ok(FinishReason::Stop));
}

#[test]
fn legacy_forwards_exact_names_untouched() {
    let legacy = Options {
        mode: Mode::Legacy,
        ..Options::default()
    };
    let events = [started(
        "read",
        "a",
        json!({"path": "a.rs", "toolCallId": "x"}),
    )];
    let outcome = run(&turn(opencode()), &legacy, events);
    assert_eq!(
        outcome.named(),
        [(
            "read".to_owned(),
            json!({"path": "a.rs", "toolCallId": "x"})
        )]
    );
    let events = [started("shell", "a", json!({"command": "ls"}))];
    assert_eq!(run(&turn(opencode()), &legacy, events).calls().len(), 0);
}

#[test]
fn native_reads_leave_looking_to_the_agent() {
    let options = Options {
        native_reads: true,
        ..Options::default()
    };
    let looks = [
        ("read", json!({"path": "a"})),
        ("grep", json!({"pattern": "a"})),
        ("glob", json!({"globPattern": "*"})),
        ("ls", json!({"path": "."})),
    ];
    for (kind, args) in looks {
        let outcome = run(&turn(opencode()), &options, [started(kind, "a", args)]);
        assert_eq!(outcome.calls().len(), 0, "{kind}");
    }
    let acts = [started("shell", "a", json!({"command": "ls"}))];
    assert_eq!(run(&turn(opencode()), &options, acts).calls().len(), 1);
}
