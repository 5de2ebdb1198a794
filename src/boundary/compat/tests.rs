use serde_json::json;

use crate::agent::AgentEvent;
use crate::boundary::Options;
use crate::boundary::testing::{calls, native, opencode, run, tool, turn};

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
        let event = AgentEvent::ToolStarted(native(kind, "a", json!({"taskId": "1"})));
        let outcome = run(&turn(tools()), &Options::default(), [event]);
        assert_eq!(outcome.calls().len(), 0, "{kind}");
    }
}
