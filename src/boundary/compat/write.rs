//! Writing a whole file.

use serde_json::json;

use super::Compat;
use super::fields::{PATH_NAMES, field, path, verb};

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
        field("lines", &["linecount"]),
    ],
    prepare: |_| {},
    complete: |given, field| match field {
        "verb" => verb(given, &["create", "write"]),
        "lines" => Some(json!(given.text("content")?.lines().count())),
        _ => None,
    },
};
