//! Calls in the terms of clients whose tools take other forms: lists of one, blocks of two texts.

use serde_json::{Value, json};

use crate::boundary::testing::{calls, tool};
use crate::turn::ToolSpec;

fn text() -> Value {
    json!({"type": "string"})
}

fn list(item: Value) -> Value {
    json!({"type": "array", "items": item})
}

fn object(properties: Value, required: &[&str]) -> Value {
    json!({
        "type": "object", "properties": properties, "required": required, "additionalProperties": false,
    })
}

fn cline() -> Vec<ToolSpec> {
    let line = || json!({"anyOf": [{"type": "integer"}, {"type": "null"}]});
    let file = object(
        json!({"path": {"type": "string", "description": "The absolute file path"}, "start_line": line(), "end_line": line()}),
        &["path"],
    );
    let command = json!({"anyOf": [text(), object(json!({"command": text(), "args": list(text())}), &["command"])]});
    let page = object(json!({"url": text(), "prompt": text()}), &["url", "prompt"]);
    vec![
        tool("read_files", "", json!({"files": list(file)}), &["files"]),
        tool(
            "run_commands",
            "",
            json!({"commands": list(command)}),
            &["commands"],
        ),
        tool(
            "search_codebase",
            "",
            json!({"queries": list(text())}),
            &["queries"],
        ),
        tool(
            "fetch_web_content",
            "",
            json!({"requests": list(page)}),
            &["requests"],
        ),
        tool(
            "editor",
            "",
            json!({"path": {"type": "string", "description": "The absolute file path"}, "old_text": {"type": ["string", "null"]}, "new_text": text(), "insert_line": line()}),
            &["path", "new_text"],
        ),
    ]
}

fn gptme() -> Vec<ToolSpec> {
    let patch = json!({"type": "string", "description": "Use conflict markers! Example:\n<<<<<<< ORIGINAL\na\n=======\nb\n>>>>>>> UPDATED"});
    vec![
        tool("shell", "", json!({"command": text()}), &["command"]),
        tool(
            "patch",
            "",
            json!({"path": text(), "patch": patch}),
            &["path", "patch"],
        ),
        tool(
            "append",
            "",
            json!({"path": text(), "content": text()}),
            &["path", "content"],
        ),
        tool(
            "save",
            "",
            json!({"path": text(), "content": text()}),
            &["path", "content"],
        ),
    ]
}

fn roo() -> Vec<ToolSpec> {
    let diff = json!({"type": "string", "description": "Each block:\n<<<<<<< SEARCH\n:start_line:1\n-------\na\n=======\nb\n>>>>>>> REPLACE"});
    let path =
        || json!({"type": "string", "description": "relative to the current workspace directory"});
    vec![
        tool(
            "apply_diff",
            "",
            json!({"path": path(), "diff": diff}),
            &["path", "diff"],
        ),
        tool(
            "write_to_file",
            "",
            json!({"path": path(), "content": text()}),
            &["path", "content"],
        ),
        tool(
            "read_file",
            "",
            json!({"files": list(object(json!({"path": path(), "line_ranges": list(list(json!({"type": "integer"})))}), &["path"]))}),
            &["files"],
        ),
    ]
}

fn lists_of_edits() -> Vec<ToolSpec> {
    let edit = object(
        json!({"old_text": text(), "new_text": text()}),
        &["old_text", "new_text"],
    );
    vec![tool(
        "edit_file",
        "",
        json!({
            "path": text(), "display_description": text(), "edits": list(edit),
            "mode": {"type": "string", "enum": ["edit", "create"]},
        }),
        &["display_description", "path", "mode"],
    )]
}

fn goose() -> Vec<ToolSpec> {
    vec![
        tool(
            "developer__shell",
            "",
            json!({"command": text()}),
            &["command"],
        ),
        tool(
            "edit",
            "",
            json!({"path": text(), "before": text(), "after": text()}),
            &["path", "before", "after"],
        ),
        tool(
            "write",
            "",
            json!({"path": text(), "content": text()}),
            &["path", "content"],
        ),
        tool(
            "tree",
            "",
            json!({"path": text(), "depth": {"type": "integer"}}),
            &["path"],
        ),
    ]
}

/// Goose until 1.8, and what was made after Anthropic's text editor with other verbs.
fn text_editor(verbs: Value) -> Vec<ToolSpec> {
    vec![tool(
        "developer__text_editor",
        "",
        json!({
            "command": verbs, "path": text(), "file_text": text(), "old_str": text(), "new_str": text(),
        }),
        &["command", "path"],
    )]
}

fn goose_editor() -> Vec<ToolSpec> {
    text_editor(
        json!({"type": "string", "enum": ["view", "write", "str_replace", "insert", "undo_edit"]}),
    )
}

fn described_editor() -> Vec<ToolSpec> {
    let words = "Allowed options are: `view`, `write`, `str_replace`, `undo_edit`.";
    text_editor(json!({"type": "string", "description": words}))
}

/// Roo until 3.36.
fn counted_lines() -> Vec<ToolSpec> {
    vec![tool(
        "write_to_file",
        "",
        json!({"path": text(), "content": text(), "line_count": {"type": "integer"}}),
        &["path", "content", "line_count"],
    )]
}

fn copilot() -> Vec<ToolSpec> {
    vec![
        tool(
            "create",
            "",
            json!({"path": text(), "file_text": text()}),
            &["path"],
        ),
        tool(
            "edit",
            "",
            json!({"path": text(), "old_str": text(), "new_str": text()}),
            &["path", "old_str"],
        ),
        tool(
            "view",
            "",
            json!({"path": text(), "view_range": list(json!({"type": "integer"}))}),
            &["path"],
        ),
    ]
}

fn continue_dev() -> Vec<ToolSpec> {
    let edit = object(
        json!({"old_string": text(), "new_string": text(), "replace_all": {"type": "boolean"}}),
        &["old_string", "new_string"],
    );
    vec![
        tool(
            "multi_edit",
            "",
            json!({"filepath": text(), "edits": list(edit)}),
            &["filepath", "edits"],
        ),
        tool(
            "create_new_file",
            "",
            json!({"filepath": text(), "contents": text()}),
            &["filepath", "contents"],
        ),
        tool("fetch_url_content", "", json!({"url": text()}), &["url"]),
    ]
}

fn gemini() -> Vec<ToolSpec> {
    vec![
        tool("web_fetch", "", json!({"prompt": text()}), &["prompt"]),
        tool(
            "run_shell_command",
            "",
            json!({"command": text(), "dir_path": text()}),
            &["command"],
        ),
        tool(
            "replace",
            "",
            json!({"file_path": text(), "instruction": text(), "old_string": text(), "new_string": text()}),
            &["file_path", "instruction", "old_string", "new_string"],
        ),
    ]
}

fn zed() -> Vec<ToolSpec> {
    vec![tool(
        "terminal",
        "",
        json!({"command": text(), "cd": text()}),
        &["command", "cd"],
    )]
}

fn crush() -> Vec<ToolSpec> {
    let todo = object(
        json!({"content": text(), "status": text(), "active_form": text()}),
        &["content", "status", "active_form"],
    );
    vec![tool("todos", "", json!({"todos": list(todo)}), &["todos"])]
}

#[test]
fn the_forms_of_more_clients() {
    let replace =
        |old: &str, new: &str| json!({"path": "a", "strReplace": {"oldText": old, "newText": new}});
    let cases = [
        (
            cline(),
            "read",
            json!({"path": "a.rs", "offset": 5, "limit": 3}),
            "read_files",
            json!({"files": [{"path": "/home/ada/engine/a.rs", "start_line": 5, "end_line": 7}]}),
        ),
        (
            cline(),
            "shell",
            json!({"command": "ls", "workingDirectory": "/tmp"}),
            "run_commands",
            json!({"commands": ["cd /tmp && ls"]}),
        ),
        (
            cline(),
            "grep",
            json!({"pattern": "x|y"}),
            "search_codebase",
            json!({"queries": ["x|y"]}),
        ),
        (
            cline(),
            "webFetch",
            json!({"url": "https://x.no"}),
            "fetch_web_content",
            json!({"requests": [{"url": "https://x.no", "prompt": "Return the content of the page."}]}),
        ),
        (
            cline(),
            "edit",
            replace("one\n", "two\n"),
            "editor",
            json!({"path": "/home/ada/engine/a", "old_text": "one\n", "new_text": "two\n"}),
        ),
        (
            gptme(),
            "write",
            json!({"path": "a", "fileText": "x\n"}),
            "save",
            json!({"path": "a", "content": "x\n"}),
        ),
        (
            gptme(),
            "edit",
            replace("one\n", "two\nthree\n"),
            "patch",
            json!({"path": "a", "patch": "<<<<<<< ORIGINAL\none\n=======\ntwo\nthree\n>>>>>>> UPDATED"}),
        ),
        (
            goose_editor(),
            "write",
            json!({"path": "/a", "fileText": "x\n"}),
            "developer__text_editor",
            json!({"command": "write", "path": "/a", "file_text": "x\n"}),
        ),
        (
            described_editor(),
            "write",
            json!({"path": "/a", "fileText": "x\n"}),
            "developer__text_editor",
            json!({"command": "write", "path": "/a", "file_text": "x\n"}),
        ),
        (
            goose_editor(),
            "edit",
            json!({"path": "/a", "strReplace": {"oldText": "one", "newText": "two"}}),
            "developer__text_editor",
            json!({"command": "str_replace", "path": "/a", "old_str": "one", "new_str": "two"}),
        ),
        (
            counted_lines(),
            "write",
            json!({"path": "/a", "fileText": "x\ny\n"}),
            "write_to_file",
            json!({"path": "/a", "content": "x\ny\n", "line_count": 2}),
        ),
        (
            roo(),
            "edit",
            replace("one\n", ""),
            "apply_diff",
            json!({"path": "a", "diff": "<<<<<<< SEARCH\none\n=======\n>>>>>>> REPLACE"}),
        ),
        (
            roo(),
            "read",
            json!({"path": "/home/ada/engine/a"}),
            "read_file",
            json!({"files": [{"path": "a"}]}),
        ),
        (
            lists_of_edits(),
            "edit",
            replace("one\n", "two\n"),
            "edit_file",
            json!({"path": "a", "display_description": "Edit the file", "mode": "edit",
                "edits": [{"old_text": "one\n", "new_text": "two\n"}]}),
        ),
        (
            goose(),
            "edit",
            replace("one\n", "two\n"),
            "edit",
            json!({"path": "a", "before": "one\n", "after": "two\n"}),
        ),
        (
            goose(),
            "shell",
            json!({"command": "ls"}),
            "developer__shell",
            json!({"command": "ls"}),
        ),
        (
            goose(),
            "ls",
            json!({"path": "src"}),
            "tree",
            json!({"path": "src"}),
        ),
        (
            copilot(),
            "write",
            json!({"path": "a", "fileText": "x"}),
            "create",
            json!({"path": "a", "file_text": "x"}),
        ),
        (
            copilot(),
            "edit",
            replace("x", "y"),
            "edit",
            json!({"path": "a", "old_str": "x", "new_str": "y"}),
        ),
        (
            continue_dev(),
            "edit",
            replace("x", "y"),
            "multi_edit",
            json!({"filepath": "a", "edits": [{"old_string": "x", "new_string": "y", "replace_all": false}]}),
        ),
        (
            continue_dev(),
            "write",
            json!({"path": "a", "fileText": "x"}),
            "create_new_file",
            json!({"filepath": "a", "contents": "x"}),
        ),
        (
            continue_dev(),
            "webFetch",
            json!({"url": "https://x.no"}),
            "fetch_url_content",
            json!({"url": "https://x.no"}),
        ),
        (
            gemini(),
            "webFetch",
            json!({"url": "https://x.no"}),
            "web_fetch",
            json!({"prompt": "Return the content of https://x.no"}),
        ),
        (
            gemini(),
            "shell",
            json!({"command": "ls", "workingDirectory": "/tmp"}),
            "run_shell_command",
            json!({"command": "ls", "dir_path": "/tmp"}),
        ),
        (
            gemini(),
            "edit",
            replace("x", "y"),
            "replace",
            json!({"file_path": "a", "old_string": "x", "new_string": "y", "instruction": "Edit the file"}),
        ),
        (
            zed(),
            "shell",
            json!({"command": "ls"}),
            "terminal",
            json!({"command": "ls", "cd": "/home/ada/engine"}),
        ),
        (
            crush(),
            "updateTodos",
            json!({"todos": [{"id": "1", "content": "a", "status": "TODO_STATUS_PENDING"}]}),
            "todos",
            json!({"todos": [{"content": "a", "status": "pending", "active_form": "a"}]}),
        ),
    ];
    for (tools, kind, args, name, mut want) in cases {
        let mut got = calls(tools, kind, args);
        assert_eq!(got.len(), 1, "{kind} -> {name}");
        want.sort_all_objects();
        got[0].1.sort_all_objects();
        assert_eq!(got, [(name.to_owned(), want)], "{kind} -> {name}");
    }
}

/// A text that looks like a mark of the block would end it, and so would a text that ends elsewhere
/// than its line: such an edit is no call at once, its change becomes a whole file.
#[test]
fn a_block_that_could_be_misread_is_not_made() {
    let replace =
        |old: &str, new: &str| json!({"path": "a", "strReplace": {"oldText": old, "newText": new}});
    for (tools, old, new) in [
        (gptme(), "a\n", "b\n=======\n"),
        (gptme(), "a", "b"),
        (gptme(), "a\n", ""),
        (roo(), ">>>>>>> REPLACE\n", "b\n"),
    ] {
        assert_eq!(
            calls(tools, "edit", replace(old, new)),
            [],
            "{old:?} {new:?}"
        );
    }
}

#[test]
fn a_tool_that_takes_no_file_is_none_for_files() {
    let note = vec![tool("save", "", json!({"content": text()}), &["content"])];
    assert_eq!(
        calls(note, "write", json!({"path": "a", "fileText": "x"})),
        []
    );
}
