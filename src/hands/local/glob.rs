//! `glob`: files by the form of their names.

use std::time::SystemTime;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Fault, Local, SHORT, arguments, clip::Lines, place::Workspace, said, walk};
use crate::hands::protocol::ToolAnswer;

/// The most files that are sorted.
const MOST: usize = 100_000;

pub(super) const TOOL: Local = Local {
    name: "glob",
    description: "Finds files of the workspace by a glob such as **/*.rs, those that changed last \
        first. A glob without a slash fits names in any directory.",
    schema: || {
        json!({
            "type": "object",
            "properties": {
                "pattern": {"type": "string", "description": "The glob"},
                "path": {"type": "string", "description":
                    "Directory to look in, if not the workspace"},
            },
            "required": ["pattern"],
        })
    },
    only_reads: true,
    limit: SHORT,
    run,
};

#[derive(Deserialize)]
struct GlobArguments {
    pattern: String,
    path: Option<String>,
}

fn run(workspace: &Workspace, given: &Map<String, Value>) -> Result<ToolAnswer, Fault> {
    let args: GlobArguments = arguments(given)?;
    let directory = workspace.directory(args.path.as_deref().unwrap_or("."))?;
    let mut files: Vec<_> = walk::files(&directory, Some(&args.pattern))?
        .take(MOST)
        .map(|entry| {
            let changed = entry.metadata().ok().and_then(|meta| meta.modified().ok());
            let changed = changed.unwrap_or(SystemTime::UNIX_EPOCH);
            (std::cmp::Reverse(changed), entry.into_path())
        })
        .collect();
    files.sort();
    let mut found = Lines::default();
    for (at, (_, file)) in files.iter().enumerate() {
        if !found.push(&workspace.shown(file)) {
            let more = files.len() - at;
            found.note(&format!("[{more} more files fit: use a narrower glob]\n"));
            break;
        }
    }
    Ok(said(if found.text.is_empty() {
        "No files fit.".to_owned()
    } else {
        found.text
    }))
}
