//! Reading a file.

use serde_json::json;

use super::Compat;
use super::fields::{ArgumentMap, PATH_NAMES, field, path, verb};

pub(super) const TOOL: Compat = Compat {
    family: "read",
    essential: "path",
    fields: &[
        path("path", PATH_NAMES),
        field(
            "offset",
            "offset startline linestart start startlineoneindexed",
        ),
        field("limit", "limit numlines linecount maxlines lines"),
        field("end", "endline lineend end endlineoneindexedinclusive"),
        field("range", "viewrange"),
        field("verb", "command"),
        field("whole", "shouldreadentirefile"),
    ],
    prepare,
    complete: |given, field| match field {
        "whole" => Some(json!(!given.values.contains_key("offset"))),
        "offset" => Some(json!(1)),
        "verb" => verb(given, &["view", "read"]),
        _ => None,
    },
};

/// Some tools take a first line and a count, some a first and a last line.
fn prepare(given: &mut ArgumentMap) {
    let first = given
        .number("offset")
        .filter(|first| *first > 0)
        .unwrap_or(1);
    if given.property("range").is_some()
        && let Some(limit) = given.number("limit")
    {
        given.set("range", json!([first, first + limit - 1]));
        given.values.remove("offset");
        given.values.remove("limit");
    }
    if let (None, Some(limit)) = (given.property("limit"), given.number("limit")) {
        given.values.remove("limit");
        given.set("offset", first);
        given.set("end", first + limit - 1);
    }
    if let (None, Some(end)) = (given.property("end"), given.number("end")) {
        given.values.remove("end");
        given.set("limit", (end - first + 1).max(1));
    }
}
