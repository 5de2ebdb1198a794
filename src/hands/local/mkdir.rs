//! `mkdir`: a directory, with those above it.

use std::fs;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Fault, Local, SHORT, arguments, place::Workspace, said};
use crate::hands::protocol::ToolAnswer;

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
    run,
};

#[derive(Deserialize)]
struct MkdirArguments {
    path: String,
}

fn run(workspace: &Workspace, given: &Map<String, Value>) -> Result<ToolAnswer, Fault> {
    let args: MkdirArguments = arguments(given)?;
    let directory = workspace.target(&args.path)?;
    if directory.is_dir() {
        return Ok(said(format!("{} is there already.", args.path)));
    }
    fs::create_dir_all(&directory).map_err(|error| Fault::io(&args.path, &error))?;
    Ok(said(format!("Made {}.", workspace.shown(&directory))))
}
