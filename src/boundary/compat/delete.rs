//! Deleting a file.

use serde_json::json;

use super::Compat;
use super::fields::{PATH_NAMES, field, path};

pub(super) const TOOL: Compat = Compat {
    family: "delete",
    essential: "path",
    fields: &[
        path("path", PATH_NAMES),
        path("paths", &["paths", "files", "filepaths"]),
        field("force", &["force", "recursive"]),
        field("description", &["explanation", "description"]),
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
