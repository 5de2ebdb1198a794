//! Replacing text in a file.

use serde_json::json;

use super::Compat;
use super::fields::{ArgumentMap, PATH_NAMES, field, path};

pub(super) const TOOL: Compat = Compat {
    family: "edit",
    essential: "new",
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
        field("diff", &["diff"]),
        field("verb", &["command"]),
        field(
            "description",
            &["explanation", "instruction", "instructions", "description"],
        ),
    ],
    prepare,
    complete: |_, field| match field {
        "all" => Some(json!(false)),
        "count" => Some(json!(1)),
        "verb" => Some(json!("str_replace")),
        "description" => Some(json!("Edit the file")),
        _ => None,
    },
};

/// Cline and its kin give and take both texts as one block.
fn prepare(given: &mut ArgumentMap) {
    if given.property("diff").is_none()
        && let Some((old, new)) = given.text("diff").and_then(block)
    {
        given.values.remove("diff");
        given.set("old", old);
        given.set("new", new);
    }
    if given.property("old").is_none()
        && given.property("diff").is_some()
        && let (Some(old), Some(new)) = (given.text("old"), given.text("new"))
    {
        let line = |text: &str| match text {
            "" => String::new(),
            text => format!("{}\n", text.strip_suffix('\n').unwrap_or(text)),
        };
        let diff = format!(
            "------- SEARCH\n{}=======\n{}+++++++ REPLACE",
            line(old),
            line(new)
        );
        given.set("diff", diff);
        given.values.remove("old");
        given.values.remove("new");
    }
}

/// The two texts of a diff that is a single block.
fn block(diff: &str) -> Option<(String, String)> {
    let (head, rest) = diff.trim_start().split_once('\n')?;
    if !head.ends_with(" SEARCH") {
        return None;
    }
    // A block may begin with the lines where it belongs, up to a rule.
    let rest = rest
        .rsplit_once("\n-------\n")
        .map_or(rest, |(_, rest)| rest);
    let (old, rest) = rest.split_once("\n=======\n")?;
    let rest = rest.trim_end();
    let (new, end) = rest.rsplit_once('\n').unwrap_or(("", rest));
    (end.ends_with(" REPLACE") && !new.contains(" SEARCH\n"))
        .then(|| (old.to_owned(), new.to_owned()))
}
