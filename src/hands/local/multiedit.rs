//! `multiedit`: several exact replacements in one file, all or none.

use serde::Deserialize;
use serde_json::json;

use super::{
    Local, SHORT, edit, invalid,
    place::Workspace,
    said,
    text::{self, ExactEdit},
};

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
    run: |workspace, given| said(workspace, given, run),
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MultieditArguments {
    file_path: String,
    edits: Vec<ExactEdit>,
}

fn run(workspace: &Workspace, args: MultieditArguments) -> Result<String, String> {
    if args.edits.is_empty() {
        return Err(invalid("edits is empty"));
    }
    let places = text::edit(workspace, &args.file_path, &args.edits)?;
    Ok(edit::report(&args.file_path, places))
}
