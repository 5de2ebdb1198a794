//! Writing a whole file.

use super::Compat;
use super::place::{PATH_NAMES, field, path};

pub(super) const TOOL: Compat = Compat {
    family: "write",
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
    ],
    prepare: |_| {},
    complete: |_, _| None,
};
