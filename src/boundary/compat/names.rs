//! Families that differ in names only.

use super::fields::{Argument, PATH_NAMES, field, path};
use super::files::DIRECTORY_NAMES;
use super::{Compat, OTHER};

pub(super) const SKILL: Compat = names("skill", &[field("name", "name skill skillname id")]);

pub(super) const PLAN: Compat = names(
    "plan",
    &[
        field("plan", "plan content text"),
        field("title", "name title"),
    ],
);

pub(super) const CODE_SEARCH: Compat = names(
    "codesearch",
    &[
        field("query", "query search question"),
        path("paths", "targetdirectories directories paths"),
    ],
);

pub(super) const LINTS: Compat = names(
    "lints",
    &[path("paths", "paths filepaths files path filepath")],
);

pub(super) const IMAGE: Compat = names(
    "generate_image",
    &[
        field("prompt", "prompt description"),
        path("path", PATH_NAMES),
    ],
);

pub(super) const MKDIR: Compat = names("mkdir", &[path("path", DIRECTORY_NAMES)]);

const fn names(family: &'static str, fields: &'static [Argument]) -> Compat {
    Compat {
        family,
        essential: fields[0].name,
        fields,
        ..OTHER
    }
}
