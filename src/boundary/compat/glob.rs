//! Finding files by name.

use super::Compat;
use super::fields::{field, path};
use super::list::{DIRECTORY_NAMES, here};

pub(super) const TOOL: Compat = Compat {
    family: "glob",
    essential: "pattern",
    fields: &[
        field(
            "pattern",
            &[
                "pattern",
                "globpattern",
                "glob",
                "filepattern",
                "searchpattern",
                "query",
                "namepattern",
            ],
        ),
        path("path", DIRECTORY_NAMES),
        field("limit", &["limit", "headlimit", "maxresults"]),
    ],
    prepare: |_| {},
    complete: here,
};
