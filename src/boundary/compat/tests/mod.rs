//! Calls in the terms of OpenCode's tools.

mod clients;
mod more_clients;

use serde_json::json;

use crate::agent::AgentEvent;
use crate::boundary::BoundaryOptions;
use crate::boundary::testing::{calls, native, opencode, opencode_gpt, run, tool, turn};

/// Cursor's kind and arguments, and the call that OpenCode's tools make of them.
#[test]
fn natives_become_opencodes_calls() {
    let cases = [
        (
            "shell",
            json!({"command": "ls -l", "workingDirectory": "", "timeout": 30000, "toolCallId": "x", "simpleCommands": ["ls"]}),
            "bash",
            json!({"command": "ls -l"}),
        ),
        (
            "shell",
            json!({"command": "make", "workingDirectory": "/home/ada/engine", "timeout": 600000}),
            "bash",
            json!({"command": "make", "timeout": 600000}),
        ),
        (
            "shell",
            json!({"command": "make", "workingDirectory": "/tmp"}),
            "bash",
            json!({"command": "make", "workdir": "/tmp"}),
        ),
        (
            "read",
            json!({"path": "src/a.rs", "offset": 3, "limit": 10}),
            "read",
            json!({"filePath": "/home/ada/engine/src/a.rs", "offset": 3, "limit": 10}),
        ),
        (
            "read",
            json!({"path": "C:\\a.rs"}),
            "read",
            json!({"filePath": "C:\\a.rs"}),
        ),
        (
            "write",
            json!({"path": "a", "fileText": "x", "toolCallId": "t"}),
            "write",
            json!({"filePath": "/home/ada/engine/a", "content": "x"}),
        ),
        (
            "grep",
            json!({"pattern": "TODO", "path": "src", "glob": "*.rs", "caseInsensitive": false, "multiline": false, "offset": 0}),
            "grep",
            json!({"pattern": "TODO", "path": "src", "include": "*.rs"}),
        ),
        (
            "grep",
            json!({"pattern": "todo", "caseInsensitive": true, "type": "rust"}),
            "grep",
            json!({"pattern": "(?i)todo", "include": "*.rs"}),
        ),
        (
            "glob",
            json!({"targetDirectory": "src", "globPattern": "*.rs"}),
            "glob",
            json!({"pattern": "*.rs", "path": "src"}),
        ),
        (
            "ls",
            json!({"path": "src", "ignore": []}),
            "read",
            json!({"filePath": "/home/ada/engine/src"}),
        ),
        (
            "ls",
            json!({"path": "."}),
            "read",
            json!({"filePath": "/home/ada/engine"}),
        ),
        (
            "webFetch",
            json!({"url": "https://example.com", "toolCallId": "x"}),
            "webfetch",
            json!({"url": "https://example.com"}),
        ),
    ];
    for (kind, args, name, want) in cases {
        let got = calls(opencode(), kind, args);
        assert_eq!(got, [(name.to_owned(), want)], "{kind}");
    }
}

#[test]
fn mcp_calls_find_the_clients_own_tools() {
    let text = json!({"type": "string"});
    let args = json!({"name": "local-echo", "args": {"text": "HI"}, "toolCallId": "x",
        "providerIdentifier": "local", "toolName": "echo"});
    for name in ["local_echo", "local-echo", "mcp__local__echo", "echo"] {
        let tools = vec![
            tool("other", "", json!({}), &[]),
            tool(name, "", json!({"text": text}), &["text"]),
        ];
        assert_eq!(
            calls(tools, "mcp", args.clone()),
            [(name.to_owned(), json!({"text": "HI"}))]
        );
    }
    let foreign = vec![tool("read", "", json!({"text": text}), &[])];
    let view = json!({"name": "docs-view", "args": {"text": "HI"}, "providerIdentifier": "docs", "toolName": "view"});
    assert_eq!(calls(foreign, "mcp", view), []);
}

#[test]
fn a_tool_that_shares_only_the_name_is_left_alone() {
    let tasks = vec![tool(
        "task",
        "Adds a task",
        json!({"title": {"type": "string"}}),
        &["title"],
    )];
    let args = json!({"description": "Count lines", "prompt": "Count.", "subagentType": {"unspecified": {}}});
    assert_eq!(calls(tasks, "task", args), []);
}

#[test]
fn cursors_own_business_is_never_a_call() {
    let tools = || {
        vec![
            tool("await", "", json!({}), &[]),
            tool("send_message", "", json!({}), &[]),
        ]
    };
    for kind in ["await", "sendMessage", "getMcpTools"] {
        let event = AgentEvent::ToolStarted(Box::new(native(kind, "a", json!({"taskId": "1"}))));
        let outcome = run(&turn(tools()), &BoundaryOptions::default(), [event]);
        assert_eq!(outcome.calls().len(), 0, "{kind}");
    }
}

/// The other tools of OpenCode.
#[test]
fn tools_with_lists_and_choices() {
    let todo = |content: &str, status: &str| json!({"content": content, "status": status, "priority": "medium"});
    let cases = [
        (
            "updateTodos",
            json!({"todos": [
            {"id": "1", "content": "a", "status": "TODO_STATUS_PENDING", "createdAt": "1", "dependencies": []},
            {"id": "2", "content": "b", "status": "TODO_STATUS_IN_PROGRESS"},
            {"id": "3", "content": "c", "status": "TODO_STATUS_COMPLETED"},
            {"id": "4", "content": "d", "status": "TODO_STATUS_CANCELLED"},
        ], "merge": false}),
            "todowrite",
            json!({"todos": [todo("a", "pending"), todo("b", "in_progress"), todo("c", "completed"), todo("d", "cancelled")]}),
        ),
        (
            "task",
            json!({"description": "Count", "prompt": "Count lines.", "subagentType": {"unspecified": {}}, "model": "x", "agentId": "y"}),
            "task",
            json!({"description": "Count", "prompt": "Count lines.", "subagent_type": "general"}),
        ),
        (
            "task",
            json!({"prompt": "Count all the lines in it.", "subagentType": {"custom": {"name": "reviewer"}}, "resume": "t1"}),
            "task",
            json!({"description": "Count all the lines in", "prompt": "Count all the lines in it.", "subagent_type": "reviewer", "task_id": "t1"}),
        ),
        (
            "askQuestion",
            json!({"title": "Colours", "questions": [{"id": "q", "prompt": "Which colour do you want it to have?",
            "options": [{"id": "r", "label": "Red"}], "allowMultiple": true}]}),
            "question",
            json!({"questions": [{"question": "Which colour do you want it to have?", "header": "Colours",
                "options": [{"label": "Red", "description": "Red"}], "multiple": true}]}),
        ),
    ];
    for (kind, args, name, want) in cases {
        assert_eq!(
            calls(opencode(), kind, args),
            [(name.to_owned(), want)],
            "{kind}"
        );
    }
}

#[test]
fn edits_in_every_form() {
    let replace = json!({"path": "/a", "multiStrReplace": {"edits": [
        {"oldText": "one", "newText": "1"}, {"oldText": "two", "newText": "2", "replaceAll": true},
    ]}});
    let edit = |old: &str, new: &str| json!({"filePath": "/a", "oldString": old, "newString": new});
    let mut second = edit("two", "2");
    second["replaceAll"] = json!(true);
    assert_eq!(
        calls(opencode(), "edit", replace),
        [
            ("edit".to_owned(), edit("one", "1")),
            ("edit".to_owned(), second)
        ]
    );
    let patch = "*** Begin Patch\n*** Add File: a\n+x\n*** End Patch";
    let args = json!({"path": "/a", "applyPatch": {"patchContent": patch}});
    assert_eq!(
        calls(opencode_gpt(), "edit", args.clone()),
        [("apply_patch".to_owned(), json!({ "patchText": patch }))]
    );
    for incomplete in [
        args,
        json!({"path": "/a"}),
        json!({"path": "/a", "streamContent": "x"}),
    ] {
        assert_eq!(calls(opencode(), "edit", incomplete), []);
    }
    assert_eq!(
        calls(
            opencode_gpt(),
            "delete",
            json!({"path": "/home/ada/engine/a", "toolCallId": "x"})
        ),
        [(
            "apply_patch".to_owned(),
            json!({"patchText": "*** Begin Patch\n*** Delete File: a\n*** End Patch"})
        )]
    );
    assert_eq!(
        calls(opencode(), "delete", json!({"path": "/it's"})),
        [("bash".to_owned(), json!({"command": "rm -- \"/it's\""}))]
    );
}

#[test]
fn what_the_model_wrote_is_coerced_without_loss() {
    let tools = || {
        vec![tool(
            "lookup",
            "",
            json!({
                "count": {"type": "integer"}, "ratio": {"type": "number"}, "deep": {"type": "boolean"},
                "names": {"type": "array", "items": {"type": "string"}}, "how": {"type": "string", "enum": ["Fast", "slow"]},
                "filter": {"type": "object"}, "note": {"type": ["string", "null"]},
            }),
            &["count", "note"],
        )]
    };
    let call = |args: serde_json::Value| calls(tools(), "lookup", args).remove(0).1;
    assert_eq!(
        call(
            json!({"Count": "5", "ratio": "0.5", "deep": "true", "names": "a", "how": "fast", "filter": "{\"a\":1}", "extra": 1})
        ),
        json!({"count": 5, "ratio": 0.5, "deep": true, "names": ["a"], "how": "Fast", "filter": {"a": 1}, "extra": 1, "note": null})
    );
    // What can't be brought over stays, for the client to refuse.
    assert_eq!(
        call(json!({"count": "5.5", "note": "n"})),
        json!({"count": "5.5", "note": "n"})
    );
}

/// F-11: the names are OpenCode's, the rest is as the agent gave it.
#[test]
fn tools_without_a_schema_are_called_by_common_names() {
    let todo = json!({"todos": [{"id": "1", "content": "x", "status": "TODO_STATUS_PENDING"}], "merge": false});
    let replace = json!({"path": "/a", "strReplace": {"oldText": "x", "newText": "y"}});
    let questions = json!({"questions": [{"id": "q", "prompt": "Which?", "options": [{"id": "a", "label": "A"}]}]});
    let cases = [
        (
            "bash",
            "shell",
            json!({"command": "ls", "timeout": 90000, "workingDirectory": "/tmp"}),
            json!({"command": "ls", "timeout": 90000, "workdir": "/tmp"}),
        ),
        (
            "execute_command",
            "shell",
            json!({"command": "ls"}),
            json!({"command": "ls"}),
        ),
        (
            "read_file",
            "read",
            json!({"path": "a", "limit": 3}),
            json!({"filePath": "a", "limit": 3}),
        ),
        (
            "write",
            "write",
            json!({"path": "/a", "fileText": "x"}),
            json!({"filePath": "/a", "content": "x"}),
        ),
        (
            "edit",
            "edit",
            replace,
            json!({"filePath": "/a", "oldString": "x", "newString": "y"}),
        ),
        ("list", "ls", json!({"path": "src"}), json!({"path": "src"})),
        (
            "grep",
            "grep",
            json!({"pattern": "x", "glob": "*.rs"}),
            json!({"pattern": "x", "include": "*.rs"}),
        ),
        (
            "search_files",
            "glob",
            json!({"globPattern": "*.rs"}),
            json!({"pattern": "*.rs"}),
        ),
        (
            "todowrite",
            "updateTodos",
            todo,
            json!({"todos": [{"id": "1", "content": "x", "status": "pending", "priority": "medium"}]}),
        ),
        (
            "question",
            "askQuestion",
            questions,
            json!({"questions": [{"question": "Which?", "header": "Which?", "multiple": false,
                "options": [{"label": "A", "description": "A"}]}]}),
        ),
        (
            "task",
            "task",
            json!({"description": "d", "prompt": "p", "subagentType": {"explore": {}}}),
            json!({"description": "d", "prompt": "p", "subagent_type": "explore"}),
        ),
        (
            "webfetch",
            "webFetch",
            json!({"url": "http://a/"}),
            json!({"url": "http://a/"}),
        ),
        (
            "delete_file",
            "delete",
            json!({"path": "/a"}),
            json!({"filePath": "/a"}),
        ),
    ];
    for (name, kind, args, want) in cases {
        let mut spec = tool(name, "", json!({}), &[]);
        for schema in [
            json!({"type": "object"}),
            json!({"type": "object", "properties": {}}),
        ] {
            spec.schema = schema.into();
            let made = calls(vec![spec.clone()], kind, args.clone());
            assert_eq!(made, [(name.to_owned(), want.clone())], "{kind}");
        }
        spec.schema = json!({"type": "object", "additionalProperties": false}).into();
        assert_eq!(calls(vec![spec], kind, args), [], "{kind}");
    }
}
