//! Replacing text in a file.

use serde_json::json;

use super::Compat;
use super::place::{PATH_NAMES, field, path};

pub(super) const TOOL: Compat = Compat {
    family: "edit",
    fields: &[
        path("path", PATH_NAMES),
        field(
            "old",
            &[
                "oldstring",
                "oldtext",
                "oldstr",
                "old",
                "search",
                "searchtext",
                "find",
                "target",
            ],
        ),
        field(
            "new",
            &[
                "newstring",
                "newtext",
                "newstr",
                "new",
                "replace",
                "replacement",
                "replacewith",
            ],
        ),
        field("all", &["replaceall", "all", "global"]),
        field("count", &["expectedreplacements", "count"]),
        field(
            "description",
            &["explanation", "instruction", "instructions", "description"],
        ),
    ],
    prepare: |_| {},
    complete: |_, field| match field {
        "all" => Some(json!(false)),
        "count" => Some(json!(1)),
        "description" => Some(json!("Edit the file")),
        _ => None,
    },
};
