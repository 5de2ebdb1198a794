//! `ls`: what is in a directory.

use std::fs;

use serde::Deserialize;
use serde_json::json;

use super::{Local, SHORT, clip::Lines, failed, place::Workspace, said};

/// The most names that are sorted.
const MOST: usize = 100_000;

pub(super) const TOOL: Local = Local {
    name: "ls",
    description: "Lists a directory of the workspace: a name on each line, with / after a directory.",
    schema: || {
        json!({
            "type": "object",
            "properties": {
                "path": {"type": "string", "description": "The directory, if not the workspace"},
            },
        })
    },
    only_reads: true,
    limit: SHORT,
    run: |workspace, given| said(workspace, given, run),
};

#[derive(Deserialize)]
struct LsArguments {
    path: Option<String>,
}

fn run(workspace: &Workspace, args: LsArguments) -> Result<String, String> {
    let named = args.path.as_deref().unwrap_or(".");
    let directory = workspace.directory(named)?;
    let entries = fs::read_dir(&directory).map_err(failed(named))?;
    let mut names: Vec<String> = entries
        .filter_map(Result::ok)
        .take(MOST)
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => format!("{name}/"),
                Ok(kind) if kind.is_symlink() => match fs::read_link(entry.path()) {
                    Ok(to) => format!("{name} -> {}", to.display()),
                    Err(_) => name,
                },
                _ => name,
            }
        })
        .collect();
    names.sort();
    let note = |more| format!("[{more} more entries]\n");
    Ok(Lines::of(names.into_iter(), note).or("(the directory is empty)"))
}
