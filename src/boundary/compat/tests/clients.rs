//! Calls in the terms of other clients' tools.

use serde_json::json;

use crate::boundary::testing::{calls, opencode, tool};

#[test]
fn other_clients_names_and_units() {
    let text = json!({"type": "string"});
    let shell = vec![tool(
        "shell",
        "",
        json!({"command": {"type": "array", "items": text}, "workdir": text, "timeout_ms": {"type": "number"}}),
        &["command"],
    )];
    let described = vec![tool(
        "Bash",
        "",
        json!({"command": text, "description": text, "timeout": {"type": "number", "description": "in seconds"}}),
        &["command", "description"],
    )];
    let bare = vec![tool(
        "execute_command",
        "",
        json!({"command": text, "requires_approval": {"type": "boolean", "default": false}}),
        &["command", "requires_approval"],
    )];
    let ranged = vec![tool(
        "read_file",
        "",
        json!({"path": {"type": "string", "description": "relative to the workspace"}, "start_line": {"type": "integer"}, "end_line": {"type": "integer"}}),
        &["path"],
    )];
    let listing = vec![tool(
        "list_files",
        "",
        json!({"path": text, "recursive": {"type": "boolean"}}),
        &["path"],
    )];
    let glob_only = vec![opencode().remove(4)];
    let cases = [
        (
            shell,
            "shell",
            json!({"command": "ls", "workingDirectory": "/tmp", "timeout": 40000}),
            "shell",
            json!({"command": ["bash", "-lc", "ls"], "workdir": "/tmp", "timeout_ms": 40000}),
        ),
        (
            described,
            "shell",
            json!({"command": "make", "timeout": 90500}),
            "Bash",
            json!({"command": "make", "timeout": 91, "description": "Run make"}),
        ),
        (
            bare,
            "shell",
            json!({"command": "ls", "workingDirectory": "/my dir"}),
            "execute_command",
            json!({"command": "cd '/my dir' && ls", "requires_approval": false}),
        ),
        (
            ranged,
            "read",
            json!({"path": "/home/ada/engine/a.rs", "offset": 5, "limit": 3}),
            "read_file",
            json!({"path": "a.rs", "start_line": 5, "end_line": 7}),
        ),
        (
            listing,
            "ls",
            json!({"path": "src"}),
            "list_files",
            json!({"path": "src"}),
        ),
        (
            glob_only,
            "ls",
            json!({"path": "src"}),
            "glob",
            json!({"pattern": "*", "path": "src"}),
        ),
    ];
    for (tools, kind, args, name, want) in cases {
        assert_eq!(
            calls(tools, kind, args),
            [(name.to_owned(), want)],
            "{kind} -> {name}"
        );
    }
}

/// Tool sets of other clients, with the names and demands of theirs.
#[test]
fn other_clients_tools() {
    let text = || json!({"type": "string"});
    let list = |item: serde_json::Value| json!({"type": "array", "items": item});
    let object = |properties: serde_json::Value, required: &[&str]| {
        json!({
            "type": "object", "properties": properties, "required": required, "additionalProperties": false,
        })
    };
    let claude = || {
        vec![
            tool(
                "TodoWrite",
                "",
                json!({"todos": list(object(json!({
            "content": text(), "status": {"type": "string", "enum": ["pending", "in_progress", "completed"]}, "activeForm": text(),
        }), &["content", "status", "activeForm"]))}),
                &["todos"],
            ),
            tool(
                "Task",
                "Agents: general-purpose, Explore",
                json!({"description": text(), "prompt": text(), "subagent_type": text()}),
                &["description", "prompt", "subagent_type"],
            ),
            tool(
                "WebFetch",
                "",
                json!({"url": text(), "prompt": text()}),
                &["url", "prompt"],
            ),
            tool("WebSearch", "", json!({"query": text()}), &["query"]),
            tool(
                "Grep",
                "",
                json!({"pattern": text(), "path": text(), "glob": text(), "output_mode": {"type": "string", "enum": ["content", "files_with_matches", "count"]},
            "-i": {"type": "boolean"}, "-A": {"type": "number"}, "-B": {"type": "number"}, "head_limit": {"type": "number"}}),
                &["pattern"],
            ),
            tool(
                "LS",
                "",
                json!({"path": {"type": "string", "description": "must be absolute, not relative"}}),
                &["path"],
            ),
            tool("ExitPlanMode", "", json!({"plan": text()}), &["plan"]),
            tool(
                "AskUserQuestion",
                "",
                json!({"questions": list(object(json!({
            "question": text(), "header": text(), "multiSelect": {"type": "boolean"},
            "options": list(object(json!({"label": text(), "description": text()}), &["label", "description"])),
        }), &["question", "header", "options", "multiSelect"]))}),
                &["questions"],
            ),
            tool(
                "Bash",
                "",
                json!({"command": text(), "description": text(), "run_in_background": {"type": "boolean"}, "timeout": {"type": "number", "description": "milliseconds"}}),
                &["command"],
            ),
        ]
    };
    let codex = || {
        vec![
            tool(
                "update_plan",
                "",
                json!({"explanation": text(), "plan": list(object(json!({"step": text(), "status": text()}), &["step", "status"]))}),
                &["plan"],
            ),
            tool(
                "exec_command",
                "",
                json!({"cmd": text(), "workdir": text(), "yield_time_ms": {"type": "number"}}),
                &["cmd"],
            ),
        ]
    };
    let cline = || {
        vec![
            tool(
                "execute_command",
                "",
                json!({"command": text(), "requires_approval": {"type": "boolean"}}),
                &["command"],
            ),
            tool(
                "ask_followup_question",
                "",
                json!({"question": text(), "options": list(text())}),
                &["question"],
            ),
            tool(
                "replace_in_file",
                "",
                json!({"path": text(), "diff": text()}),
                &["path", "diff"],
            ),
            tool("update_todo_list", "", json!({"todos": text()}), &["todos"]),
            tool(
                "search_files",
                "",
                json!({"path": text(), "regex": text(), "file_pattern": text()}),
                &["path", "regex"],
            ),
        ]
    };
    let editor = || {
        vec![tool(
            "str_replace_based_edit_tool",
            "",
            json!({
                "command": {"type": "string", "enum": ["view", "create", "str_replace", "insert"]}, "path": text(),
                "old_str": text(), "new_str": text(), "file_text": text(), "view_range": list(json!({"type": "integer"})),
            }),
            &["command", "path"],
        )]
    };
    let question = || json!({"questions": [{"id": "q", "prompt": "Which?", "options": [{"id": "a", "label": "A"}], "allowMultiple": false}]});
    let todos = || json!({"todos": [{"id": "1", "content": "a", "status": "TODO_STATUS_IN_PROGRESS"}, {"id": "2", "content": "b", "status": "TODO_STATUS_CANCELLED"}]});
    let replace = || json!({"path": "a", "strReplace": {"oldText": "one\n", "newText": "two\n"}});
    let cases = [
        (
            claude(),
            "updateTodos",
            todos(),
            "TodoWrite",
            json!({"todos": [{"content": "a", "status": "in_progress", "activeForm": "a"}]}),
        ),
        (
            claude(),
            "task",
            json!({"description": "d", "prompt": "p", "subagentType": {"unspecified": {}}}),
            "Task",
            json!({"description": "d", "prompt": "p", "subagent_type": "general-purpose"}),
        ),
        (
            claude(),
            "task",
            json!({"description": "d", "prompt": "p", "subagentType": {"explore": {}}}),
            "Task",
            json!({"description": "d", "prompt": "p", "subagent_type": "Explore"}),
        ),
        (
            claude(),
            "webFetch",
            json!({"url": "https://x.no"}),
            "WebFetch",
            json!({"url": "https://x.no", "prompt": "Return the content of the page."}),
        ),
        (
            claude(),
            "webSearch",
            json!({"searchTerm": "x"}),
            "WebSearch",
            json!({"query": "x"}),
        ),
        (
            claude(),
            "grep",
            json!({"pattern": "x", "outputMode": "count", "caseInsensitive": true, "contextAfter": 2, "headLimit": 5}),
            "Grep",
            json!({"pattern": "x", "output_mode": "count", "-i": true, "-A": 2, "head_limit": 5}),
        ),
        (
            claude(),
            "ls",
            json!({"path": "src"}),
            "LS",
            json!({"path": "/home/ada/engine/src"}),
        ),
        (
            claude(),
            "createPlan",
            json!({"plan": "# P", "todos": [], "overview": "", "name": ""}),
            "ExitPlanMode",
            json!({"plan": "# P"}),
        ),
        (
            claude(),
            "askQuestion",
            question(),
            "AskUserQuestion",
            json!({"questions": [{"question": "Which?", "header": "Which?", "options": [{"label": "A", "description": "A"}], "multiSelect": false}]}),
        ),
        (
            claude(),
            "shell",
            json!({"command": "serve", "isBackground": true}),
            "Bash",
            json!({"command": "serve", "run_in_background": true}),
        ),
        (
            codex(),
            "updateTodos",
            todos(),
            "update_plan",
            json!({"plan": [{"step": "a", "status": "in_progress"}, {"step": "b", "status": "cancelled"}]}),
        ),
        (
            codex(),
            "shell",
            json!({"command": "ls", "workingDirectory": "/tmp"}),
            "exec_command",
            json!({"cmd": "ls", "workdir": "/tmp"}),
        ),
        (
            cline(),
            "shell",
            json!({"command": "ls"}),
            "execute_command",
            json!({"command": "ls"}),
        ),
        (
            cline(),
            "askQuestion",
            question(),
            "ask_followup_question",
            json!({"question": "Which?", "options": ["A"]}),
        ),
        (
            cline(),
            "edit",
            replace(),
            "replace_in_file",
            json!({"path": "a", "diff": "------- SEARCH\none\n=======\ntwo\n+++++++ REPLACE"}),
        ),
        (
            cline(),
            "updateTodos",
            todos(),
            "update_todo_list",
            json!({"todos": "[-] a\n[ ] b"}),
        ),
        (
            cline(),
            "grep",
            json!({"pattern": "x", "glob": "*.rs"}),
            "search_files",
            json!({"regex": "x", "file_pattern": "*.rs", "path": "/home/ada/engine"}),
        ),
        (
            editor(),
            "read",
            json!({"path": "/a", "offset": 2, "limit": 3}),
            "str_replace_based_edit_tool",
            json!({"command": "view", "path": "/a", "view_range": [2, 4]}),
        ),
        (
            editor(),
            "write",
            json!({"path": "/a", "fileText": "x"}),
            "str_replace_based_edit_tool",
            json!({"command": "create", "path": "/a", "file_text": "x"}),
        ),
        (
            editor(),
            "edit",
            json!({"path": "/a", "strReplace": {"oldText": "x", "newText": "y"}}),
            "str_replace_based_edit_tool",
            json!({"command": "str_replace", "path": "/a", "old_str": "x", "new_str": "y"}),
        ),
    ];
    for (tools, kind, args, name, mut want) in cases {
        let mut got = calls(tools, kind, args);
        // Objects compare without regard to the order of their members.
        assert_eq!(got.len(), 1, "{kind} -> {name}");
        want.sort_all_objects();
        got[0].1.sort_all_objects();
        assert_eq!(got, [(name.to_owned(), want)], "{kind} -> {name}");
    }
}
