//! `multiedit`: several exact replacements in one file, all or none.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Fault, Local, SHORT, arguments, edit,
    place::Workspace,
    said,
    text::{self, ExactEdit},
};
use crate::hands::protocol::ToolAnswer;

pub(super) const TOOL: Local = Local {
    name: "multiedit",
    description: "Makes several replacements in one file of the workspace, one after the other: all of \
        them, or none. Each old text must occur exactly once when its turn comes, unless replaceAll is \
        true.",
    schema: || {
        let text = json!({"type": "string"});
        json!({
            "type": "object",
            "properties": {
                "filePath": {"type": "string", "description": "The file"},
                "edits": {"type": "array", "items": {
                    "type": "object",
                    "properties": {
                        "oldString": text, "newString": text, "replaceAll": {"type": "boolean"},
                    },
                    "required": ["oldString", "newString"],
                }},
            },
            "required": ["filePath", "edits"],
        })
    },
    only_reads: false,
    limit: SHORT,
    run,
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MultieditArguments {
    file_path: String,
    edits: Vec<ExactEdit>,
}

fn run(workspace: &Workspace, given: &Map<String, Value>) -> Result<ToolAnswer, Fault> {
    let args: MultieditArguments = arguments(given)?;
    if args.edits.is_empty() {
        return Err(Fault::Arguments("edits is empty".to_owned()));
    }
    let places = text::edit(workspace, &args.file_path, &args.edits)?;
    Ok(said(edit::report(&args.file_path, places)))
}
