//! `rm`: removes a file, a link or a directory.

use std::fs;

use serde::Deserialize;
use serde_json::json;

use super::{Local, SHORT, failed, place::Workspace, said};

pub(super) const TOOL: Local = Local {
    name: "rm",
    description: "Removes a file, a link or an empty directory of the workspace; a directory with all \
        that is in it only if recursive is true.",
    schema: || {
        json!({
            "type": "object",
            "properties": {
                "filePath": {"type": "string", "description": "What to remove"},
                "recursive": {"type": "boolean"},
            },
            "required": ["filePath"],
        })
    },
    only_reads: false,
    limit: SHORT,
    run: |workspace, given| said(workspace, given, run),
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RmArguments {
    file_path: String,
    #[serde(default)]
    recursive: bool,
}

fn run(workspace: &Workspace, args: RmArguments) -> Result<String, String> {
    let named = &args.file_path;
    let is_root = workspace
        .existing(named)
        .is_ok_and(|found| found == workspace.root());
    if is_root {
        let why = "permission denied: the workspace itself is not removed";
        return Err(why.to_owned());
    }
    // A link is removed itself, not what it leads to.
    let path = workspace.entry(named)?;
    let is_dir = fs::symlink_metadata(&path).map_err(failed(named))?.is_dir();
    let removed = match (is_dir, args.recursive) {
        (false, _) => fs::remove_file(&path),
        (true, false) => fs::remove_dir(&path),
        (true, true) => fs::remove_dir_all(&path),
    };
    removed.map_err(failed(named))?;
    Ok(format!("Removed {}.", workspace.shown(&path)))
}
