//! `mkdir`: a directory, with those above it.

use std::fs;

use serde::Deserialize;
use serde_json::json;

use super::{Local, SHORT, failed, place::Workspace, said};

pub(super) const TOOL: Local = Local {
    name: "mkdir",
    description: "Makes a directory in the workspace, with those above it that are missing.",
    schema: || {
        json!({
            "type": "object",
            "properties": {"path": {"type": "string", "description": "The directory"}},
            "required": ["path"],
        })
    },
    only_reads: false,
    limit: SHORT,
    run: |workspace, given| said(workspace, given, run),
};

#[derive(Deserialize)]
struct MkdirArguments {
    path: String,
}

fn run(workspace: &Workspace, args: MkdirArguments) -> Result<String, String> {
    let directory = workspace.target(&args.path)?;
    if directory.is_dir() {
        return Ok(format!("{} is there already.", args.path));
    }
    fs::create_dir_all(&directory).map_err(failed(&args.path))?;
    Ok(format!("Made {}.", workspace.shown(&directory)))
}
