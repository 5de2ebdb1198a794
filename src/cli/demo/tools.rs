//! The tools that the demo offers to the model: they write, change and read files in one directory.

use std::{
    io,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::{Value, json};

/// The definitions, as a client sends them.
pub(super) fn definitions() -> Value {
    let tool = |name: &str, description: &str, properties: Value| {
        let required: Vec<&String> = properties
            .as_object()
            .into_iter()
            .flat_map(|p| p.keys())
            .collect();
        json!({"type": "function", "function": {
            "name": name,
            "description": description,
            "parameters": {"type": "object", "properties": properties, "required": required},
        }})
    };
    let path = json!({"type": "string", "description": "Absolute path of the file"});
    json!([
        tool(
            "write",
            "Writes a file.",
            json!({"filePath": path, "content": {"type": "string"}})
        ),
        tool(
            "edit",
            "Replaces a text in a file.",
            json!({"filePath": path, "oldString": {"type": "string"}, "newString": {"type": "string"}})
        ),
        tool("read", "Reads a file.", json!({"filePath": path})),
    ])
}

/// The arguments of all of them.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct DemoArguments {
    file_path: PathBuf,
    content: String,
    old_string: String,
    new_string: String,
}

/// Executes a call inside the workspace, and nowhere else.
pub(super) async fn execute(name: &str, arguments: &str, workspace: &Path) -> String {
    let arguments: DemoArguments = serde_json::from_str(arguments).unwrap_or_default();
    let path = &arguments.file_path;
    let shown = path.display();
    if path.parent() != Some(workspace) || path.file_name().is_none() {
        return format!("error: {shown} is not in {}", workspace.display());
    }
    let result = match name {
        "write" => {
            let content = &arguments.content;
            let written = tokio::fs::write(path, content).await;
            written.map(|()| format!("wrote {} bytes to {shown}", content.len()))
        }
        "edit" => edit(&arguments).await,
        "read" => tokio::fs::read_to_string(path).await,
        _ => return format!("error: there is no tool {name}"),
    };
    result.unwrap_or_else(|error| format!("error: {error}"))
}

async fn edit(arguments: &DemoArguments) -> io::Result<String> {
    let path = &arguments.file_path;
    let (shown, old) = (path.display(), &arguments.old_string);
    let text = tokio::fs::read_to_string(path).await?;
    if old.is_empty() || !text.contains(old) {
        return Ok(format!("error: {shown} does not contain oldString"));
    }
    tokio::fs::write(path, text.replacen(old, &arguments.new_string, 1)).await?;
    Ok(format!("changed {shown}"))
}
