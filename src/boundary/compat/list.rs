//! Listing a directory.

use serde_json::json;

use super::Compat;
use super::fields::{ArgumentMap, field, path};

/// Names under which a directory goes.
pub(super) const DIRECTORY_NAMES: &[&str] = &[
    "path",
    "directory",
    "dir",
    "dirpath",
    "directorypath",
    "targetdirectory",
    "relativeworkspacepath",
    "folder",
    "folderpath",
    "root",
    "filepath",
];

pub(super) const TOOL: Compat = Compat {
    family: "list",
    essential: "path",
    fields: &[
        path("path", DIRECTORY_NAMES),
        field("ignore", &["ignore", "ignoreglobs", "exclude"]),
        field("recursive", &["recursive"]),
    ],
    prepare: |_| {},
    complete: here,
};

/// The workspace, where a directory is demanded and none was named.
pub(super) fn here(given: &ArgumentMap, field: &str) -> Option<serde_json::Value> {
    match field {
        "path" => Some(json!(given.workspace.to_string_lossy())),
        "recursive" => Some(json!(false)),
        _ => None,
    }
}
