//! Several replacements in one file.

use serde_json::{Value, json};

use super::Compat;
use super::edit;
use super::fields::{ArgumentMap, PATH_NAMES, field, path};
use super::items::items;

pub(super) const TOOL: Compat = Compat {
    family: "multiedit",
    essential: "edits",
    fields: &[
        path("path", PATH_NAMES),
        field("edits", &["edits", "replacements", "changes"]),
        field("description", &["explanation", "description"]),
    ],
    prepare,
    complete: |_, field| (field == "description").then(|| json!("Edit the file")),
};

/// The edits of the list go under the names that this client's items have.
fn prepare(given: &mut ArgumentMap) {
    let path = given.values.get("path").cloned();
    items(given, "edits", edit::TOOL.fields, |item| {
        // Some lists name the file in each item.
        if let Some(path) = &path {
            item.entry("path").or_insert_with(|| path.clone());
        }
        item.entry("all").or_insert(Value::Bool(false));
        true
    });
}
