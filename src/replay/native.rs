//! Calls that are really executed: reads and edits.
//!
//! Cursor's agent edits files by itself, and what its proxy learns of an edit it learns from that.
//! So the replay agent does the same, but only in a view: there its writes reach nothing but a
//! directory of the proxy's.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use serde_json::{Value, json};

use super::tool::{Edit, ReplayTool};

/// Executes a read or an edit and returns the call's `result` (SCHEMA 3); `None` for any other.
pub(super) fn execute(tool: &ReplayTool) -> Option<Value> {
    let (path, outcome) = match tool {
        ReplayTool::Read { path, limit } => (path, read(path, *limit)),
        ReplayTool::Grep { pattern, path } => (path, grep(path, pattern)),
        ReplayTool::Write { path, text } => (path, change(path, |_| Ok(text.clone()))),
        ReplayTool::Edit { path, old, new } | ReplayTool::Replace { path, old, new } => {
            let edit = Edit {
                old: old.clone(),
                new: new.clone(),
            };
            (path, change(path, |before| apply(before, &[edit])))
        }
        ReplayTool::Patch { path, edits } => (path, change(path, |before| apply(before, edits))),
        ReplayTool::Delete { path } => (path, delete(path)),
        _ => return None,
    };
    Some(match outcome {
        Ok(success) => json!({ "success": success }),
        Err(error) => json!({"error": {"path": path, "error": error.to_string()}}),
    })
}

/// What the model reads of a result.
pub(super) fn told(result: &Value) -> String {
    let text = |pointer: &str| result.pointer(pointer).and_then(Value::as_str);
    ["/success/content", "/success/message", "/error/error"]
        .into_iter()
        .find_map(text)
        .unwrap_or("done")
        .to_owned()
}

fn read(path: &str, limit: Option<u32>) -> io::Result<Value> {
    let text = fs::read_to_string(path)?;
    let lines = text.split_inclusive('\n');
    let most = limit.map_or(usize::MAX, |limit| limit as usize);
    let content: String = lines.clone().take(most).collect();
    Ok(json!({
        "path": path, "content": content, "isEmpty": text.is_empty(), "exceededLimit": false,
        "totalLines": lines.count(), "fileSize": text.len(),
    }))
}

/// Looks for a plain text in a file, or in the files of a directory.
fn grep(path: &str, pattern: &str) -> io::Result<Value> {
    let files = match fs::read_dir(path) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(_) => Ok(vec![Path::new(path).to_path_buf()]),
    };
    let files: io::Result<Vec<_>> = files;
    let mut found = Vec::new();
    for file in files? {
        // A binary file has no matches.
        let text = fs::read_to_string(&file).unwrap_or_default();
        let lines = text.lines().zip(1..);
        let lines = lines.filter(|(line, _)| line.contains(pattern));
        let lines: Vec<Value> = lines
            .map(|(line, number)| json!({"lineNumber": number, "content": line}))
            .collect();
        if !lines.is_empty() {
            found.push(json!({"file": file.to_string_lossy(), "matches": lines}));
        }
    }
    let content = json!({"matches": found});
    Ok(json!({
        "pattern": pattern, "path": path, "outputMode": "content",
        "workspaceResults": {path: {"content": content}},
    }))
}

fn change(path: &str, after: impl FnOnce(Option<&str>) -> io::Result<String>) -> io::Result<Value> {
    let before = match fs::read_to_string(path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let after = after(before.as_deref())?;
    if let Some(directory) = Path::new(path).parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(path, &after)?;
    let mut success = json!({
        "path": path, "afterFullFileContent": after, "message": format!("Updated {path}"),
    });
    if let Some(before) = before {
        success["beforeFullFileContent"] = before.into();
    }
    Ok(success)
}

fn apply(before: Option<&str>, edits: &[Edit]) -> io::Result<String> {
    let mut text = before.ok_or(ErrorKind::NotFound)?.to_owned();
    for Edit { old, new } in edits {
        if !text.contains(old.as_str()) {
            let message = format!("the file does not hold the text {old:?}");
            return Err(io::Error::new(ErrorKind::InvalidData, message));
        }
        text = text.replacen(old.as_str(), new, 1);
    }
    Ok(text)
}

fn delete(path: &str) -> io::Result<Value> {
    let content = fs::read_to_string(path)?;
    fs::remove_file(path)?;
    Ok(json!({
        "path": path, "deletedFile": path, "fileSize": content.len().to_string(),
        "prevContent": content,
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_made_and_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/file.txt");
        let text = || fs::read_to_string(&path).unwrap();
        let shown = || path.to_str().unwrap().to_owned();
        let tool = |value: Value| serde_json::from_value::<ReplayTool>(value).unwrap();

        let write = tool(json!({"write": {"path": shown(), "text": "one\r\ntwo\r\n"}}));
        let result = execute(&write).unwrap();
        assert_eq!(result["success"]["afterFullFileContent"], "one\r\ntwo\r\n");
        assert!(result["success"].get("beforeFullFileContent").is_none());

        let edit = tool(json!({"edit": {"path": shown(), "old": "two", "new": "2"}}));
        let result = execute(&edit).unwrap();
        assert_eq!(result["success"]["beforeFullFileContent"], "one\r\ntwo\r\n");
        assert_eq!(text(), "one\r\n2\r\n");
        assert!(execute(&edit).unwrap().get("error").is_some());
        assert_eq!(text(), "one\r\n2\r\n");

        let patch = json!({"patch": {"path": shown(), "edits": [
            {"old": "one", "new": "1"}, {"old": "2\r\n", "new": "2"}]}});
        execute(&tool(patch)).unwrap();
        assert_eq!(text(), "1\r\n2");

        let delete = tool(json!({"delete": {"path": shown()}}));
        assert_eq!(
            execute(&delete).unwrap()["success"]["prevContent"],
            "1\r\n2"
        );
        assert!(!path.exists());
        assert!(execute(&delete).unwrap().get("error").is_some());
        assert!(execute(&tool(json!({"ls": {"path": shown()}}))).is_none());
    }
}
