//! Patches.

use serde_json::json;

use super::Compat;
use super::fields::{PATH_NAMES, field, path};

pub(super) const TOOL: Compat = Compat {
    family: "apply_patch",
    essential: "patch",
    fields: &[
        field(
            "patch",
            &[
                "patchtext",
                "patch",
                "input",
                "patchcontent",
                "patchstring",
                "diff",
                "content",
            ],
        ),
        path("path", PATH_NAMES),
        field("description", &["explanation", "description"]),
    ],
    prepare: |_| {},
    complete: |_, field| (field == "description").then(|| json!("Apply the patch")),
};
