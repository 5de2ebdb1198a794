//! ReplayTool calls: announced, refused, executed behind our back, reported too late or too large.

use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use open_cursor::replay::{ReplayCall, ReplayRun, ReplayTool, Todo};
use serde_json::{Map, Value, json};

use crate::{FOREVER, Out, begin, begin_with_prompt, finish};

/// The kinds of [`one`].
pub const KINDS: &str = "read write edit replace shell ls grep glob todo task webfetch mcp";

/// A call of each kind, on paths in the workspace.
fn tool(kind: &str, workspace: &str) -> Option<ReplayTool> {
    let path = format!("{workspace}/fake.txt");
    Some(match kind {
        "read" => ReplayTool::Read { path, limit: None },
        "write" => ReplayTool::Write {
            path,
            text: "first line\nsecond line\n".into(),
        },
        "edit" => ReplayTool::Edit {
            path,
            old: "old text".into(),
            new: "new text".into(),
        },
        "replace" => ReplayTool::Replace {
            path,
            old: "old text".into(),
            new: "new text".into(),
        },
        "shell" => ReplayTool::Shell {
            command: "echo fake".into(),
            description: "Print a word".into(),
        },
        "ls" => ReplayTool::Ls {
            path: workspace.into(),
        },
        "grep" => ReplayTool::Grep {
            pattern: "fn main\\(".into(),
            path: workspace.into(),
        },
        "glob" => ReplayTool::Glob {
            directory: workspace.into(),
            pattern: "**/*.rs".into(),
        },
        "todo" => ReplayTool::Todo {
            todos: vec![Todo {
                id: "1".into(),
                content: "Write the test".into(),
                status: "TODO_STATUS_IN_PROGRESS".into(),
            }],
        },
        "task" => ReplayTool::Task {
            description: "Count lines".into(),
            prompt: "Count the lines of fake.txt.".into(),
        },
        "webfetch" => ReplayTool::WebFetch {
            url: "https://example.com/".into(),
        },
        "mcp" => ReplayTool::Mcp {
            server: "local".into(),
            tool: "echo".into(),
            args: Map::from_iter([("text".to_owned(), json!("fake"))]),
        },
        _ => return None,
    })
}

fn workspace(run: &ReplayRun<'_>) -> String {
    run.workspace.to_string_lossy().into_owned()
}

/// Announces a batch, waits, refuses all of it, and ends; or, if the prompt already holds a tool
/// result, answers with text.
fn batch(run: &mut ReplayRun<'_>, tools: &[ReplayTool]) -> io::Result<u8> {
    let (mut out, prompt) = begin_with_prompt(run)?;
    if prompt.contains("=== TOOL_RESULT ") {
        out.say("The tool has answered.")?;
        return finish(out);
    }
    out.say("Calling a tool.")?;
    let calls: Vec<(ReplayCall, Value)> = tools
        .iter()
        .map(|tool| (out.call(tool), tool.refusal()))
        .collect();
    for (call, _) in &calls {
        out.started(call)?;
    }
    thread::sleep(Duration::from_millis(300));
    // The last one first: results come in any order.
    for (call, refusal) in calls.iter().rev() {
        out.completed(call, refusal)?;
    }
    out.say("The call was refused.")?;
    finish(out)
}

pub fn one(run: &mut ReplayRun<'_>, kind: &str) -> io::Result<u8> {
    match tool(kind, &workspace(run)) {
        Some(tool) => batch(run, &[tool]),
        None => Err(io::Error::other(format!("no fake tool `{kind}`"))),
    }
}

pub fn parallel(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    let dir = workspace(run);
    let read = |name: &str| ReplayTool::Read {
        path: format!("{dir}/{name}"),
        limit: None,
    };
    let shell = ReplayTool::Shell {
        command: "pwd".into(),
        description: "Print the working directory".into(),
    };
    batch(run, &[read("a.txt"), read("b.txt"), shell])
}

pub fn hang(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    let path = format!("{}/fake.txt", workspace(run));
    let mut out = begin(run)?;
    let call = out.call(&ReplayTool::Read { path, limit: None });
    out.started(&call)?;
    thread::sleep(FOREVER);
    Ok(1)
}

/// The result of a read.
fn content(path: &str, content: &str) -> Value {
    json!({"success": {
        "content": content, "isEmpty": content.is_empty(), "exceededLimit": false,
        "totalLines": content.lines().count(), "fileSize": content.len(), "path": path,
        "readRange": {"startLine": 1, "endLine": content.lines().count()},
        "relatedCursorRulePaths": [], "relatedCursorRules": [],
    }})
}

pub fn completed_only(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    let path = format!("{}/fake.txt", workspace(run));
    let mut out = begin(run)?;
    out.say("Before.")?;
    let call = out.call(&ReplayTool::Read {
        path: path.clone(),
        limit: None,
    });
    out.completed(&call, &content(&path, "fake content\n"))?;
    out.say(" After.")?;
    finish(out)
}

pub fn completed_only_error(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    let mut out = begin(run)?;
    out.say("Before.")?;
    let call = out.call(&ReplayTool::Task {
        description: String::new(),
        prompt: String::new(),
    });
    out.completed(
        &call,
        &json!({"error": {"error": "Invalid arguments:\nprompt: Required"}}),
    )?;
    out.say(" After.")?;
    finish(out)
}

pub fn write(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    let path = run.workspace.join("fake-write.txt");
    let mut out = begin(run)?;
    write_file(&mut out, &path, "written by the agent itself\n")?;
    out.say("Wrote the file.")?;
    finish(out)
}

/// Announces a new file, writes it 100 ms later and reports that.
pub fn write_file(out: &mut Out<'_>, path: &Path, text: &str) -> io::Result<()> {
    let shown = path.to_string_lossy();
    let call = out.call(&ReplayTool::Write {
        path: shown.to_string(),
        text: text.into(),
    });
    out.started(&call)?;
    thread::sleep(Duration::from_millis(100));
    let result = match fs::write(path, text) {
        Ok(()) => json!({"success": {
            "path": shown, "linesAdded": 1, "linesRemoved": 0,
            "diffString": format!("--- /dev/null\n+++ b/{shown}\n@@ -1,0 +1 @@\n+{}", text.trim()),
            "afterFullFileContent": text, "message": format!("Wrote contents to {shown}"),
        }}),
        Err(error) => json!({"error": {"path": shown, "error": error.to_string()}}),
    };
    out.completed(&call, &result)
}

pub fn huge_line(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    let path = format!("{}/huge.txt", workspace(run));
    let mut out: Out<'_> = begin(run)?;
    let call = out.call(&ReplayTool::Read {
        path: path.clone(),
        limit: None,
    });
    out.started(&call)?;
    out.completed(
        &call,
        &content(&path, &"0123456789abcde\n".repeat(20 << 16)),
    )?;
    out.say("Read it all.")?;
    finish(out)
}

/// Changes a file for real, as the real agent does: the announcement holds the new fragment only.
pub fn edit_for_real(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    let path = run.workspace.join("fake-edit.txt");
    let shown = path.to_string_lossy().into_owned();
    let mut out = begin(run)?;
    let call = out.call(&ReplayTool::Edit {
        path: shown.clone(),
        old: "two\n".into(),
        new: "two, changed\n".into(),
    });
    out.started(&call)?;
    let before = fs::read_to_string(&path)?;
    let after = before.replace("two\n", "two, changed\n");
    let result = match fs::write(&path, &after) {
        Ok(()) => json!({"success": {
            "path": shown, "linesAdded": 1, "linesRemoved": 1,
            "beforeFullFileContent": before, "afterFullFileContent": after,
            "message": format!("The file {shown} has been updated."),
        }}),
        Err(error) => json!({"error": {"path": shown, "error": error.to_string()}}),
    };
    let failed = result.get("error").is_some();
    out.completed(&call, &result)?;
    out.say(if failed {
        "I can't edit here."
    } else {
        "Edited the file."
    })?;
    finish(out)
}

/// Writes where it pleases, in its workspace and beside it, without a word; says what failed.
pub fn rampage(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    let workspace = run.workspace.clone();
    let script = "echo x > made; echo x >> old.txt; rm -f gone.txt; mkdir -p dir/deep; \
                  git init -q . 2>/dev/null; (setsid sh -c 'echo x > by-grandchild' &) ; \
                  echo x > \"$OLDPWD/outside\"; sleep 0.2; true";
    std::process::Command::new("/bin/sh")
        .args([
            "-c",
            &format!("cd {}/.. && cd - >/dev/null; {script}", workspace.display()),
        ])
        .current_dir(&workspace)
        .status()?;
    let mut out = begin(run)?;
    out.say("Done what I wanted.")?;
    finish(out)
}

pub fn attachments(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    let (mut out, prompt) = begin_with_prompt(run)?;
    for note in prompt.split("[attached ").skip(1) {
        let path = note
            .split_once(": ")
            .and_then(|(_, rest)| rest.split_once("; "))
            .map_or("", |(path, _)| path)
            .to_owned();
        let call = out.call(&ReplayTool::Read {
            path: path.clone(),
            limit: None,
        });
        out.started(&call)?;
        // Long enough for an interception, were there one.
        thread::sleep(Duration::from_millis(100));
        let bytes = fs::read(&path)?;
        out.completed(&call, &content(&path, "(an image)"))?;
        let beginning = String::from_utf8_lossy(&bytes[..bytes.len().min(4)]).into_owned();
        out.delta(&format!("{path}|{}|{beginning:?}\n", bytes.len()))?;
    }
    finish(out)
}

pub fn edit_and_binary(run: &mut ReplayRun<'_>, argument: &str) -> io::Result<u8> {
    fs::write(run.workspace.join("image.bin"), [0xff, 0xfe, 0x00])?;
    edit_for_real(run, argument)
}
