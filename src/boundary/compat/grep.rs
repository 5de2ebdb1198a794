//! Searching file contents.

use serde_json::json;

use super::Compat;
use super::fields::{ArgumentMap, field, path};
use super::files::{DIRECTORY_NAMES, here};

pub(super) const TOOL: Compat = Compat {
    family: "grep",
    essential: "pattern",
    fields: &[
        field(
            "pattern",
            "pattern regex query regexp search searchpattern searchterm",
        ),
        path("path", DIRECTORY_NAMES),
        field(
            "include",
            "include glob includepattern filepattern filesglob globfilter",
        ),
        field("mode", "outputmode mode"),
        field("insensitive", "caseinsensitive ignorecase i"),
        field("sensitive", "casesensitive"),
        field("before", "contextbefore beforecontext b"),
        field("after", "contextafter aftercontext a"),
        field("context", "context contextlines c"),
        field("type", "type filetype"),
        field("limit", "headlimit limit maxresults maxmatches"),
        field("multiline", "multiline"),
        field("regexp", "isregexp regexmode"),
    ],
    prepare,
    complete: |given, field| match field {
        "regexp" => Some(json!(true)),
        _ => here(given, field),
    },
};

fn prepare(given: &mut ArgumentMap) {
    let insensitive = given.values.get("insensitive") == Some(&json!(true));
    if !insensitive {
        given.values.remove("insensitive");
    } else if given.property("insensitive").is_none() {
        if given.property("sensitive").is_some() {
            given.set("sensitive", false);
        } else if given.native
            && let Some(pattern) = given.text("pattern").filter(|p| !p.starts_with("(?"))
        {
            let pattern = format!("(?i){pattern}");
            given.set("pattern", pattern);
        }
        given.values.remove("insensitive");
    }
    if given.values.get("multiline") == Some(&json!(false)) {
        given.values.remove("multiline");
    }
    if given.property("type").is_none()
        && !given.values.contains_key("include")
        && let Some(include) = given.text("type").and_then(glob_of)
    {
        given.set("include", include);
        given.values.remove("type");
    }
}

/// A glob that means the same as one of ripgrep's types, for clients that have no types.
fn glob_of(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "rust" => "*.rs",
        "go" => "*.go",
        "java" => "*.java",
        "py" | "python" => "*.{py,pyi}",
        "js" => "*.{js,jsx,vue,cjs,mjs}",
        "ts" | "typescript" => "*.{ts,tsx,cts,mts}",
        "md" | "markdown" => "*.{markdown,md,mdown,mdwn,mdx,mkd,mkdn}",
        _ => return None,
    })
}
