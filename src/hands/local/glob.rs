//! `glob`: files by the form of their names.

use std::time::SystemTime;

use serde::Deserialize;
use serde_json::json;

use super::{Local, SHORT, clip::Lines, place::Workspace, said, walk};

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
    run: |workspace, given| said(workspace, given, run),
};

#[derive(Deserialize)]
struct GlobArguments {
    pattern: String,
    path: Option<String>,
}

fn run(workspace: &Workspace, args: GlobArguments) -> Result<String, String> {
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
    let shown = files.iter().map(|(_, file)| workspace.shown(file));
    let note = |more| format!("[{more} more files fit: use a narrower glob]\n");
    Ok(Lines::of(shown, note).or("No files fit."))
}
