use serde_json::json;

use super::*;
use crate::agent::AgentEvent;
use crate::boundary::BoundaryOptions;
use crate::boundary::testing::{Round, native, opencode, run, tool, turn, with_rounds};
use crate::turn::{FinishReason, Message, Role, ToolResult};

const MAX: u32 = 3;

fn conversation<'a>(rounds: impl IntoIterator<Item = Round<'a>>) -> Turn {
    let mut tools = opencode();
    tools.push(tool("todoread", "", json!({}), &[]));
    tools.push(tool(
        "lookup",
        "",
        json!({"key": {"type": "string"}}),
        &["key"],
    ));
    with_rounds(turn(tools), rounds)
}

/// What becomes of a native call after a conversation: the call, or the reason why not.
fn next(turn: &Turn, kind: &str, args: Value) -> Result<String, String> {
    let event = AgentEvent::ToolStarted(Box::new(native(kind, "n", args)));
    let outcome = run(turn, &BoundaryOptions::default(), [event]);
    match outcome.calls().as_slice() {
        [call] => {
            assert_eq!(outcome.end, Some(FinishReason::ToolCalls));
            Ok(call.name.clone())
        }
        calls => {
            assert!(calls.is_empty());
            assert_eq!(outcome.end, Some(FinishReason::Stop));
            Err(outcome.text())
        }
    }
}

#[test]
fn ordinary_work_is_never_stopped() {
    let bash = |command: &str, out: &'static str| ("bash", json!({ "command": command }), out);
    let read = |path: String, out: &'static str| ("read", json!({ "filePath": path }), out);
    let edit = |n: usize| {
        let args = json!({"filePath": "/a", "oldString": n.to_string(), "newString": "x"});
        ("edit", args, "Edit applied successfully.")
    };
    type Rounds = Vec<Vec<(&'static str, Value, &'static str)>>;
    let cases: Vec<(&str, Rounds, &str, Value)> = vec![
        (
            "fifty calls of a tool with an odd result",
            (0..50)
                .map(|n| vec![("lookup", json!({"key": n.to_string()}), "nothing to say")])
                .collect(),
            "lookup",
            json!({"key": "50"}),
        ),
        (
            "forty reads of files that speak of errors",
            (0..40)
                .map(|n| {
                    vec![read(
                        format!("/{n}"),
                        "error: invalid schema, failed, not found",
                    )]
                })
                .collect(),
            "read",
            json!({"path": "/40"}),
        ),
        (
            "fifteen failing builds with edits between",
            (0..30)
                .map(|n| {
                    vec![if n % 2 == 0 {
                        bash("make", "error: it broke")
                    } else {
                        edit(n)
                    }]
                })
                .collect(),
            "shell",
            json!({"command": "make"}),
        ),
        (
            "failing builds with edits beside them",
            (0..15)
                .map(|n| vec![edit(n), bash("make", "error: it broke")])
                .collect(),
            "shell",
            json!({"command": "make"}),
        ),
        (
            "twenty passing test runs with edits between",
            (0..40)
                .map(|n| {
                    vec![if n % 2 == 0 {
                        bash("make test", "ok")
                    } else {
                        edit(n)
                    }]
                })
                .collect(),
            "shell",
            json!({"command": "make test"}),
        ),
        (
            "ten looks at the list",
            (0..10)
                .map(|_| vec![("todoread", json!({}), "[ ] one")])
                .collect(),
            "readTodos",
            json!({}),
        ),
        (
            "the same command with other output each time",
            ["1", "2", "3", "4", "5"]
                .iter()
                .map(|out| vec![bash("date", out)])
                .collect(),
            "shell",
            json!({"command": "date"}),
        ),
        (
            "different commands that all fail",
            (0..12)
                .map(|n| vec![("bash", json!({"command": format!("try {n}")}), "error: no")])
                .collect(),
            "shell",
            json!({"command": "try 12"}),
        ),
        (
            "two files in turn",
            (0..12)
                .map(|n| vec![read(format!("/{}", n % 2), "text")])
                .collect(),
            "read",
            json!({"path": "/0"}),
        ),
        (
            "as often as allowed, less one",
            (0..2)
                .map(|_| vec![bash("make", "error: it broke")])
                .collect(),
            "shell",
            json!({"command": "make"}),
        ),
        (
            "one failure among successes",
            vec![
                vec![bash("make", "ok")],
                vec![bash("make", "error: no")],
                vec![bash("make", "ok")],
                vec![bash("make", "ok")],
            ],
            "shell",
            json!({"command": "make"}),
        ),
        (
            "edits that were not found, in different files",
            (0..6)
                .map(|n| {
                    vec![(
                        "edit",
                        json!({"filePath": format!("/{n}"), "oldString": "a", "newString": "b"}),
                        "Error: oldString not found in content",
                    )]
                })
                .collect(),
            "read",
            json!({"path": "/5"}),
        ),
    ];
    for (what, rounds, kind, args) in &cases {
        let turn = conversation(rounds.iter().map(Vec::as_slice));
        assert!(next(&turn, kind, args.clone()).is_ok(), "{what}");
    }
}

#[test]
fn the_users_next_word_begins_anew() {
    let round: Round = &[("bash", json!({"command": "make"}), "error: no")];
    let mut turn = conversation([round; 5]);
    assert!(next(&turn, "shell", json!({"command": "make"})).is_err());
    turn.messages.push(Message::text(Role::User, "Once more."));
    assert!(next(&turn, "shell", json!({"command": "make"})).is_ok());
    assert_eq!(hint(&turn, MAX), None);
}

#[test]
fn true_loops_are_stopped_with_the_reason() {
    let make = || json!({"command": "make"});
    let cases = [
        ("bash", make(), "done", "shell", make(), ""),
        (
            "bash",
            make(),
            "error: it broke",
            "shell",
            make(),
            "an error",
        ),
        (
            "bash",
            make(),
            "Exit code: 2\n...",
            "shell",
            make(),
            "an error",
        ),
        (
            "bash",
            make(),
            "{\"output\": \"\", \"metadata\": {\"exit_code\": 1}}",
            "shell",
            make(),
            "an error",
        ),
        (
            "bash",
            make(),
            "Error: command timed out",
            "shell",
            make(),
            "timeout",
        ),
        (
            "read",
            json!({"filePath": "/x"}),
            "File not found: /x",
            "read",
            json!({"path": "/x"}),
            "not found",
        ),
        (
            "read",
            json!({"filePath": "/x"}),
            "EACCES: permission denied",
            "read",
            json!({"path": "/x"}),
            "no permission",
        ),
        (
            "lookup",
            json!({"key": "k"}),
            "The lookup tool was called with invalid arguments: SchemaError",
            "lookup",
            json!({"key": "k"}),
            "invalid arguments",
        ),
    ];
    for (name, args, content, kind, native_args, why) in cases {
        let round: Round = &[(name, args, content)];
        let turn = conversation([round; MAX as usize]);
        let told = hint(&turn, MAX).unwrap();
        assert!(told.contains(&format!("`{name}`")), "{told}");
        let reason = next(&turn, kind, native_args.clone()).unwrap_err();
        assert!(reason.contains(name) && reason.contains(why), "{reason}");
        let fewer = conversation([round; MAX as usize - 1]);
        assert!(next(&fewer, kind, native_args).is_ok());
    }
}

#[test]
fn a_loop_of_looks_takes_longer_and_ends_too() {
    let round: Round = &[("read", json!({"filePath": "/a"}), "text")];
    for (times, stopped) in [(14, false), (15, true)] {
        let turn = conversation(vec![round; times]);
        assert_eq!(next(&turn, "read", json!({"path": "/a"})).is_err(), stopped);
    }
}

#[test]
fn arguments_are_compared_by_content() {
    let mut turn = conversation([]);
    for arguments in [
        "{\"command\":\"make\",\"workdir\":\"/x\"}",
        "{ \"workdir\": \"/x\", \"command\": \"make\" }",
    ] {
        let rounds = with_rounds(turn, [&[("bash", json!({}), "error: no")] as Round]);
        turn = rounds;
        let last = turn.messages.len() - 2;
        if let crate::turn::Part::ToolCall(call) = &mut turn.messages[last].parts[0] {
            call.arguments = arguments.to_owned();
        }
    }
    assert_eq!(repeated(&History::new(&turn)).unwrap().1, 2);
}

#[test]
fn a_tool_that_is_always_called_wrongly_gets_a_hint_and_then_a_stop() {
    let keys = ["a", "b", "c"];
    let args: Vec<Value> = keys.iter().map(|key| json!({"kee": key})).collect();
    let refused = "The lookup tool was called with invalid arguments: Missing key";
    let rounds: Vec<Vec<(&str, Value, &str)>> = args
        .iter()
        .map(|args| vec![("lookup", args.clone(), refused)])
        .collect();
    let turn = conversation(rounds.iter().map(Vec::as_slice));
    assert!(hint(&turn, MAX).unwrap().contains("schema"));
    let reason = next(&turn, "lookup", json!({"kee": "d"})).unwrap_err();
    assert!(reason.contains("missing key"), "{reason}");
    assert!(next(&turn, "lookup", json!({"key": "d"})).is_ok());
}

#[test]
fn one_new_call_beside_a_repeated_one_is_progress() {
    let round: Round = &[("bash", json!({"command": "make"}), "error: no")];
    let turn = conversation([round; 5]);
    let events = [
        AgentEvent::ToolStarted(Box::new(native("shell", "a", json!({"command": "make"})))),
        AgentEvent::ToolStarted(Box::new(native("read", "b", json!({"path": "/Makefile"})))),
    ];
    assert_eq!(
        run(&turn, &BoundaryOptions::default(), events)
            .calls()
            .len(),
        2
    );
}

#[test]
fn outcomes_are_told_by_structure() {
    use Outcome::{Failure, NotFound, Permission, Success, Timeout, Validation};
    let cases = [
        ("", Success),
        ("all good\nerror: not really", Success),
        ("0 failed, error count 0", Success),
        ("   1→Error handling in this file", Success),
        ("<path>/a</path>\n<content>\n1: error: x", Success),
        ("{\"error\": null, \"rows\": []}", Success),
        ("{\"text\": \"error\"}", Success),
        ("Exit code: 0\nerror", Success),
        ("Errors are values, said the gopher.", Success),
        ("Error: ENOENT: no such file or directory", NotFound),
        ("TypeError: x is not a function", Failure),
        ("fatal: not a git repository", Failure),
        ("ripgrep execution failed", Failure),
        (
            "<tool_use_error>InputValidationError: Edit failed</tool_use_error>",
            Validation,
        ),
        (
            "The arguments provided to the tool are invalid: Model tried to call unavailable tool",
            Validation,
        ),
        (
            "{\"error\": {\"message\": \"permission denied\"}}",
            Permission,
        ),
        ("{\"success\": false}", Failure),
        ("{\"isError\": true}", Failure),
        ("MCP error -32001: Request timed out", Timeout),
    ];
    for (content, want) in cases {
        let result = ToolResult {
            call_id: String::new(),
            name: None,
            content: content.to_owned(),
            is_error: false,
        };
        assert_eq!(classify(&result), want, "{content}");
        let flagged = ToolResult {
            is_error: true,
            ..result
        };
        assert!(
            classify(&flagged).is_failure() || content.starts_with("Exit code: 0"),
            "{content}"
        );
    }
}

#[test]
fn what_a_command_is_said_to_be_for_does_not_make_it_another() {
    let round = |n: usize| {
        let args = json!({"command": "make", "description": format!("Try number {n}")});
        vec![("bash", args, "Exit code 2")]
    };
    let rounds: Vec<_> = (0..MAX as usize).map(round).collect();
    let turn = conversation(rounds.iter().map(Vec::as_slice));
    let refused = next(
        &turn,
        "shell",
        json!({"command": "make", "description": "Once more"}),
    );
    assert!(refused.is_err(), "{refused:?}");
    let other = json!({"command": "make test", "description": "Try number 1"});
    assert!(next(&turn, "shell", other).is_ok());
    // Of other tools it is an argument like any other.
    let round = |n: usize| {
        vec![(
            "lookup",
            json!({"key": "a", "description": n.to_string()}),
            "Error",
        )]
    };
    let rounds: Vec<_> = (0..MAX as usize).map(round).collect();
    let turn = conversation(rounds.iter().map(Vec::as_slice));
    assert!(next(&turn, "lookup", json!({"key": "a"})).is_ok());
}
