//! `write`: a whole file.

use serde::Deserialize;
use serde_json::json;

use super::{Local, SHORT, place::Workspace, said, text};

pub(super) const TOOL: Local = Local {
    name: "write",
    description: "Writes a file of the workspace: a new one, with the directories that it needs, or \
        the whole content of one that exists.",
    schema: || {
        json!({
            "type": "object",
            "properties": {
                "filePath": {"type": "string", "description": "The file"},
                "content": {"type": "string", "description": "All that it is to hold"},
            },
            "required": ["filePath", "content"],
        })
    },
    only_reads: false,
    limit: SHORT,
    run: |workspace, given| said(workspace, given, run),
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WriteArguments {
    file_path: String,
    content: String,
}

fn run(workspace: &Workspace, args: WriteArguments) -> Result<String, String> {
    let file = workspace.target(&args.file_path)?;
    if file.is_dir() {
        let why = format!("error: {} is a directory", args.file_path);
        return Err(why);
    }
    text::write(&file, &args.file_path, &args.content)?;
    let (bytes, shown) = (args.content.len(), workspace.shown(&file));
    Ok(format!("Wrote {bytes} bytes to {shown}."))
}
