//! Several replacements in one file.

use serde_json::{Value, json};

use super::Compat;
use super::edit;
use super::fields::{ArgumentMap, PATH_NAMES, field, path};
use super::items::items;
use super::wrap::is_list_of_objects;
use crate::boundary::alias::{fold, has};
use crate::boundary::catalog::ClientTool;

pub(super) const TOOL: Compat = Compat {
    family: "multiedit",
    essential: "edits",
    fields: &[
        path("path", PATH_NAMES),
        field("edits", EDITS),
        field("mode", "mode"),
        field("description", edit::DESCRIPTION),
    ],
    prepare,
    complete: |_, field| match field {
        "description" => Some(json!("Edit the file")),
        // Zed's.
        "mode" => Some(json!("edit")),
        _ => None,
    },
};

const EDITS: &str = "edits replacements changes operations";

/// Whether the tool has a list of edits.
pub(super) fn takes_list(tool: &ClientTool) -> bool {
    let list = tool
        .schema
        .properties()
        .find(|(name, _)| has(EDITS, &fold(name)));
    list.is_some_and(|(_, node)| is_list_of_objects(tool, node))
}

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
