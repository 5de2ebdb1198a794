mod edits;
mod properties;
mod texts;

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::agent::{NativeCall, RunResult};
use crate::boundary::testing::{
    WORKSPACE, calls, done, finished, map, native, opencode, run, tool, turn,
};
use crate::boundary::{FileChange, Mode, OpenTool, ReadyCall};
use crate::turn::{ToolChoice, ToolSpec};

fn text(text: &str) -> AgentEvent {
    AgentEvent::TextDelta(text.to_owned())
}

/// The calls of a verdict, as name and arguments.
fn made(verdict: Verdict) -> Vec<(String, Value)> {
    let Verdict::Calls(calls) = verdict else {
        panic!("no calls: {verdict:?}")
    };
    let call = |ready: ReadyCall| {
        let arguments = serde_json::from_str(&ready.call.arguments).unwrap();
        (ready.call.name, arguments)
    };
    calls.into_iter().map(call).collect()
}

fn started(kind: &str, id: &str, args: Value) -> AgentEvent {
    AgentEvent::ToolStarted(Box::new(native(kind, id, args)))
}

fn tool_calls(outcome: &crate::boundary::testing::TestRun) -> bool {
    outcome
        .end
        .as_ref()
        .is_some_and(|end| *end == FinishReason::ToolCalls)
}

#[test]
fn a_plain_answer_is_passed_on() {
    let events = [
        AgentEvent::Thinking("hm".to_owned()),
        AgentEvent::Thinking(String::new()),
        text("do"),
        text("ne"),
        AgentEvent::TextSegment {
            text: "done".to_owned(),
            before_tools: false,
        },
        AgentEvent::Finished(Box::new(RunResult {
            text: "done".to_owned(),
            ..RunResult::default()
        })),
    ];
    let outcome = run(&turn(vec![]), &BoundaryOptions::default(), events);
    assert_eq!(
        outcome.deltas,
        [
            Delta::Reasoning("hm".to_owned()),
            Delta::Text("do".to_owned()),
            Delta::Text("ne".to_owned()),
        ]
    );
    assert_eq!(outcome.end, Some(FinishReason::Stop));
}

#[test]
fn parallel_calls_go_out_together_after_the_text_before_them() {
    let read = native("read", "a\nb", json!({"path": "a.rs"}));
    let events = [
        text("Looking."),
        AgentEvent::ToolStarted(Box::new(read.clone())),
        started("shell", "c", json!({"command": "ls"})),
        done(&read, "success", json!({"content": "x"})),
        AgentEvent::Thinking("next".to_owned()),
        text("never seen"),
    ];
    let outcome = run(&turn(opencode()), &BoundaryOptions::default(), events);
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
        AgentEvent::ToolStarted(Box::new(second)),
    ];
    let outcome = run(&turn(opencode()), &BoundaryOptions::default(), events);
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
        AgentEvent::ToolStarted(Box::new(bare("a"))),
        AgentEvent::Activity,
        AgentEvent::ToolStarted(Box::new(bare("b"))),
        done(&bare("a"), "success", json!({})),
        AgentEvent::ToolStarted(Box::new(bare("c"))),
    ];
    let outcome = run(&turn(opencode()), &BoundaryOptions::default(), all);
    let names: Vec<_> = outcome
        .named()
        .iter()
        .map(|(_, args)| args["command"].clone())
        .collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn verdicts_tell_the_engine_when_to_settle() {
    let mut boundary = Translator::new(
        &turn(opencode()),
        Path::new(WORKSPACE),
        &BoundaryOptions::default(),
    );
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
    assert_eq!(made(boundary.settle(&mut out)).len(), 1);
    assert_eq!(
        boundary.on_event(finished("x"), &mut out),
        Verdict::Stop(FinishReason::Stop)
    );
    assert_eq!(boundary.on_event(text("late"), &mut out), Verdict::Continue);
    assert_eq!(out.len(), 1);
}

#[test]
fn one_call_only_where_the_client_takes_one() {
    let mut turn = turn(opencode());
    turn.parallel_tool_calls = false;
    let events = [
        started("read", "a", json!({"path": "/a"})),
        started("read", "b", json!({"path": "/b"})),
    ];
    assert_eq!(
        run(&turn, &BoundaryOptions::default(), events)
            .calls()
            .len(),
        1
    );
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
            AgentEvent::ToolStarted(Box::new(shell.clone())),
            done(&shell, "rejected", json!({"reason": ""})),
            text("b"),
            finished("ab"),
        ];
        let outcome = run(&turn, &BoundaryOptions::default(), events);
        assert_eq!(outcome.text(), "ab");
        assert_eq!(outcome.calls().len(), 0);
        assert_eq!(outcome.end, Some(FinishReason::Stop));
    }
}

#[test]
fn a_completion_announces_a_call_only_with_arguments() {
    let bare = native("task", "a", Value::Null);
    let outcome = run(
        &turn(opencode()),
        &BoundaryOptions::default(),
        [
            done(&bare, "error", json!({"error": "Invalid arguments"})),
            finished(""),
        ],
    );
    assert_eq!(outcome.calls().len(), 0);

    let full = native("shell", "a", json!({"command": "ls"}));
    let outcome = run(
        &turn(opencode()),
        &BoundaryOptions::default(),
        [done(&full, "rejected", json!({}))],
    );
    assert_eq!(outcome.calls().len(), 1);
}

#[test]
fn announcement_and_completion_are_one_call() {
    let shell = native("shell", "a", json!({"command": "ls"}));
    let events = [
        AgentEvent::ToolStarted(Box::new(shell.clone())),
        AgentEvent::ToolStarted(Box::new(shell.clone())),
        done(&shell, "success", json!({"stdout": ""})),
        finished(""),
    ];
    let outcome = run(&turn(opencode()), &BoundaryOptions::default(), events);
    assert_eq!(outcome.calls().len(), 1);
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
        AgentEvent::ToolStarted(Box::new(NativeCall {
            args: Some(map(json!({"n": "many"}))),
            ..native("lookup", "a", Value::Null)
        }))
    };
    let outcome = run(&turn(odd()), &BoundaryOptions::default(), [event()]);
    assert_eq!(
        outcome.named(),
        [("lookup".to_owned(), json!({"n": "many"}))]
    );
    let strict = BoundaryOptions {
        auto_fallback: false,
        ..BoundaryOptions::default()
    };
    let outcome = run(&turn(odd()), &strict, [event()]);
    assert_eq!(outcome.calls().len(), 0);
    assert!(
        outcome.text().contains("n must be integer"),
        "{}",
        outcome.text()
    );
    assert_eq!(outcome.end, Some(FinishReason::Stop));
}

#[test]
fn legacy_forwards_exact_names_untouched() {
    let legacy = BoundaryOptions {
        mode: Mode::Legacy,
        ..BoundaryOptions::default()
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
    let options = BoundaryOptions {
        native_reads: true,
        ..BoundaryOptions::default()
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

/// A run for each interception, and the last one: what a task costs in starts of the agent.
#[test]
fn native_reads_save_runs() {
    let edit = |n: usize| {
        let args = json!({"path": "/a", "strReplace": {"oldText": format!("{n}"), "newText": "x"}});
        ("edit", args)
    };
    let mut task: Vec<(&str, Value)> = (0..12)
        .map(|n| ("read", json!({"path": format!("/{n}")})))
        .collect();
    task.extend((0..3).map(|n| ("grep", json!({"pattern": format!("{n}")}))));
    task.extend([edit(1), edit(2), ("shell", json!({"command": "make"}))]);
    for (native_reads, want) in [(false, 19), (true, 4)] {
        let options = BoundaryOptions {
            native_reads,
            ..BoundaryOptions::default()
        };
        let (mut runs, mut done_calls) = (0, 0);
        while done_calls <= task.len() {
            runs += 1;
            let rest = task[done_calls..].iter().enumerate();
            let mut events: Vec<AgentEvent> = rest
                .flat_map(|(n, (kind, args))| {
                    let call = NativeCall {
                        model_call_id: Some(n.to_string()),
                        ..native(kind, &n.to_string(), args.clone())
                    };
                    [
                        AgentEvent::ToolStarted(Box::new(call.clone())),
                        done(&call, "success", json!({})),
                    ]
                })
                .collect();
            events.push(finished("Done."));
            let outcome = run(&turn(opencode()), &options, events);
            // The next run continues behind the call that was made.
            let made = outcome.calls().len();
            let native = task[done_calls..]
                .iter()
                .take_while(|(kind, _)| native_reads && matches!(*kind, "read" | "grep"));
            done_calls += native.count() + made.max(1);
        }
        assert_eq!(runs, want);
    }
}

fn with_weather() -> Turn {
    let mut tools = opencode();
    tools.push(tool(
        "get_weather",
        "",
        json!({"city": {"type": "string"}}),
        &["city"],
    ));
    turn(tools)
}

fn written(city: &str) -> String {
    format!(
        "<tool_call>{{\"name\": \"get_weather\", \"arguments\": {{\"city\": \"{city}\"}}}}</tool_call>"
    )
}

#[test]
fn reasoning_is_said_once() {
    let events = [
        AgentEvent::Thinking("I ".to_owned()),
        AgentEvent::Thinking("see.".to_owned()),
        AgentEvent::ThinkingSegment("I see.".to_owned()),
        text("Yes."),
        finished("Yes."),
    ];
    let outcome = run(&turn(opencode()), &BoundaryOptions::default(), events);
    let said: Vec<&Delta> = outcome.deltas.iter().collect();
    let reasoning = |text: &str| Delta::Reasoning(text.to_owned());
    assert_eq!(
        said,
        [
            &reasoning("I "),
            &reasoning("see."),
            &Delta::Text("Yes.".to_owned())
        ]
    );
}
