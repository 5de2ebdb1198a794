//! Writing a whole file.

use serde_json::json;

use super::Compat;
use super::fields::{PATH_NAMES, field, path};

pub(super) const TOOL: Compat = Compat {
    family: "write",
    essential: "content",
    fields: &[
        path("path", PATH_NAMES),
        field(
            "content",
            &[
                "content",
                "contents",
                "filetext",
                "text",
                "body",
                "data",
                "streamcontent",
                "newcontent",
                "codecontent",
            ],
        ),
        field("verb", &["command"]),
    ],
    prepare: |_| {},
    complete: |_, field| (field == "verb").then(|| json!("create")),
};
