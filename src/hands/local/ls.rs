//! `ls`: what is in a directory.

use std::fs;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Fault, Local, SHORT, arguments, clip::Lines, place::Workspace, said};
use crate::hands::protocol::ToolAnswer;

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
    run,
};

#[derive(Deserialize)]
struct LsArguments {
    path: Option<String>,
}

fn run(workspace: &Workspace, given: &Map<String, Value>) -> Result<ToolAnswer, Fault> {
    let args: LsArguments = arguments(given)?;
    let named = args.path.as_deref().unwrap_or(".");
    let directory = workspace.directory(named)?;
    let entries = fs::read_dir(&directory).map_err(|error| Fault::io(named, &error))?;
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
    let mut lines = Lines::default();
    for (at, name) in names.iter().enumerate() {
        if !lines.push(name) {
            lines.note(&format!("[{} more entries]\n", names.len() - at));
            break;
        }
    }
    Ok(said(if lines.text.is_empty() {
        "(the directory is empty)".to_owned()
    } else {
        lines.text
    }))
}
