//! Edits that are really made.
//!
//! Cursor's agent edits files by itself, and what its proxy learns of an edit it learns from that.
//! So the replay agent does the same, but only in a view: there its writes reach nothing but a
//! directory of the proxy's.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use serde_json::{Value, json};

use super::tool::{Edit, ReplayTool};

/// Makes the edit and returns the call's `result` (SCHEMA 3); `None` if this is not an edit.
pub(super) fn make(tool: &ReplayTool) -> Option<Value> {
    let (path, outcome) = match tool {
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
        let result = make(&write).unwrap();
        assert_eq!(result["success"]["afterFullFileContent"], "one\r\ntwo\r\n");
        assert!(result["success"].get("beforeFullFileContent").is_none());

        let edit = tool(json!({"edit": {"path": shown(), "old": "two", "new": "2"}}));
        let result = make(&edit).unwrap();
        assert_eq!(result["success"]["beforeFullFileContent"], "one\r\ntwo\r\n");
        assert_eq!(text(), "one\r\n2\r\n");
        assert!(make(&edit).unwrap().get("error").is_some());
        assert_eq!(text(), "one\r\n2\r\n");

        let patch = json!({"patch": {"path": shown(), "edits": [
            {"old": "one", "new": "1"}, {"old": "2\r\n", "new": "2"}]}});
        make(&tool(patch)).unwrap();
        assert_eq!(text(), "1\r\n2");

        let delete = tool(json!({"delete": {"path": shown()}}));
        assert_eq!(make(&delete).unwrap()["success"]["prevContent"], "1\r\n2");
        assert!(!path.exists());
        assert!(make(&delete).unwrap().get("error").is_some());
        assert!(make(&tool(json!({"ls": {"path": shown()}}))).is_none());
    }
}
