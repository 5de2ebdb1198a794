//! `stat`: what kind of thing a path names.

use std::{fs, os::unix::fs::PermissionsExt as _, time::SystemTime};

use serde::Deserialize;
use serde_json::json;

use super::{Local, SHORT, failed, place::Workspace, said};

pub(super) const TOOL: Local = Local {
    name: "stat",
    description: "Says of a path of the workspace whether it is a file, a directory or a link, how \
        large it is, its mode, and when it changed.",
    schema: || {
        json!({
            "type": "object",
            "properties": {"path": {"type": "string", "description": "The path"}},
            "required": ["path"],
        })
    },
    only_reads: true,
    limit: SHORT,
    run: |workspace, given| said(workspace, given, run),
};

#[derive(Deserialize)]
struct StatArguments {
    path: String,
}

fn run(workspace: &Workspace, args: StatArguments) -> Result<String, String> {
    // The root has no entry in a directory of the workspace.
    let path = match workspace.existing(&args.path) {
        Ok(found) if found == workspace.root() => found,
        _ => workspace.entry(&args.path)?,
    };
    let meta = fs::symlink_metadata(&path).map_err(failed(&args.path))?;
    let kind = match meta.file_type() {
        kind if kind.is_file() => "file".to_owned(),
        kind if kind.is_dir() => "directory".to_owned(),
        kind if kind.is_symlink() => match fs::read_link(&path) {
            Ok(to) => format!("link to {}", to.display()),
            Err(_) => "link".to_owned(),
        },
        _ => "other".to_owned(),
    };
    let changed = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    let since = changed.duration_since(SystemTime::UNIX_EPOCH);
    Ok(format!(
        "type: {kind}\nsize: {} bytes\nmode: {:o}\nchanged: {} (seconds since 1970, {} s ago)\n",
        meta.len(),
        meta.permissions().mode() & 0o7777,
        since.unwrap_or_default().as_secs(),
        changed.elapsed().unwrap_or_default().as_secs(),
    ))
}
