//! Tools that take a file or a directory as a whole, or look for files by their names.

use serde_json::{Value, json};

use super::fields::{ArgumentMap, PATH_NAMES, field, path, verb};
use super::{Compat, OTHER};

/// Names under which a directory goes.
pub(super) const DIRECTORY_NAMES: &str = "\
    path directory dir dirpath directorypath targetdirectory relativeworkspacepath folder \
    folderpath root filepath";

/// Writing a whole file.
pub(super) const WRITE: Compat = Compat {
    family: "write",
    essential: "content",
    fields: &[
        path("path", PATH_NAMES),
        field(
            "content",
            "content contents filetext text body data streamcontent newcontent codecontent",
        ),
        field("verb", "command"),
        field("lines", "linecount"),
    ],
    complete: |given, field| match field {
        "verb" => verb(given, &["create", "write"]),
        "lines" => Some(json!(given.text("content")?.lines().count())),
        _ => None,
    },
    ..OTHER
};

/// Patches.
pub(super) const PATCH: Compat = Compat {
    family: "apply_patch",
    essential: "patch",
    fields: &[
        field(
            "patch",
            "patchtext patch input patchcontent patchstring diff content",
        ),
        path("path", PATH_NAMES),
        field("description", "explanation description"),
    ],
    complete: |_, field| (field == "description").then(|| json!("Apply the patch")),
    ..OTHER
};

/// Deleting a file.
pub(super) const DELETE: Compat = Compat {
    family: "delete",
    essential: "path",
    fields: &[
        path("path", PATH_NAMES),
        path("paths", "paths files filepaths"),
        field("force", "force recursive"),
        field("description", "explanation description"),
    ],
    prepare: |given| {
        if given.property("path").is_none()
            && let Some(path) = given.values.remove("path")
        {
            given.set("paths", json!([path]));
        }
    },
    complete: |_, field| match field {
        "force" => Some(json!(false)),
        "description" => Some(json!("Delete the file")),
        _ => None,
    },
};

/// Listing a directory.
pub(super) const LIST: Compat = Compat {
    family: "list",
    essential: "path",
    fields: &[
        path("path", DIRECTORY_NAMES),
        field("ignore", "ignore ignoreglobs exclude"),
        field("recursive", "recursive"),
    ],
    complete: here,
    ..OTHER
};

/// Finding files by name.
pub(super) const GLOB: Compat = Compat {
    family: "glob",
    essential: "pattern",
    fields: &[
        field(
            "pattern",
            "pattern globpattern glob filepattern searchpattern query namepattern",
        ),
        path("path", DIRECTORY_NAMES),
        field("limit", "limit headlimit maxresults"),
    ],
    complete: here,
    ..OTHER
};

/// The workspace, where a directory is demanded and none was named.
pub(super) fn here(given: &ArgumentMap, field: &str) -> Option<Value> {
    match field {
        "path" => Some(json!(given.workspace.to_string_lossy())),
        "recursive" => Some(json!(false)),
        _ => None,
    }
}
