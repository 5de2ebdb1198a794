//! `edit`: one exact replacement in a file.

use serde::Deserialize;
use serde_json::json;

use super::{
    Local, SHORT,
    place::Workspace,
    said,
    text::{self, ExactEdit},
};

pub(super) const TOOL: Local = Local {
    name: "edit",
    description: "Replaces a piece of text in a file of the workspace. The old text must occur exactly \
        once, unless replaceAll is true.",
    schema: || {
        json!({
            "type": "object",
            "properties": {
                "filePath": {"type": "string", "description": "The file"},
                "oldString": {"type": "string", "description": "The text as it stands in the file"},
                "newString": {"type": "string", "description": "What takes its place"},
                "replaceAll": {"type": "boolean", "description": "Replace it wherever it occurs"},
            },
            "required": ["filePath", "oldString", "newString"],
        })
    },
    only_reads: false,
    limit: SHORT,
    run: |workspace, given| said(workspace, given, run),
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EditArguments {
    file_path: String,
    #[serde(flatten)]
    replacement: ExactEdit,
}

fn run(workspace: &Workspace, args: EditArguments) -> Result<String, String> {
    let places = text::edit(workspace, &args.file_path, &[args.replacement])?;
    Ok(report(&args.file_path, places))
}

/// What was done.
pub(super) fn report(file: &str, places: usize) -> String {
    match places {
        1 => format!("Changed {file} in 1 place."),
        more => format!("Changed {file} in {more} places."),
    }
}
