//! Replacing text in a file.

use serde_json::json;

use super::Compat;
use super::fields::{ArgumentMap, PATH_NAMES, field, path, property_of, verb};
use crate::boundary::catalog::ClientTool;

/// Where the old text and the new one stand in one argument.
const DIFF: &str = "diff patch";

/// What an edit is for, in words.
pub(super) const DESCRIPTION: &str =
    "explanation instruction instructions description displaydescription";

pub(super) const TOOL: Compat = Compat {
    family: "edit",
    essential: "new",
    fields: &[
        path("path", PATH_NAMES),
        field(
            "old",
            "oldstring oldtext oldstr old search searchtext find target before original",
        ),
        field(
            "new",
            "newstring newtext newstr new replace replacement replacewith after updated",
        ),
        field("all", "replaceall all global"),
        field("count", "expectedreplacements count"),
        field("diff", DIFF),
        field("verb", "command"),
        field("description", DESCRIPTION),
    ],
    prepare,
    complete: |given, field| match field {
        "all" => Some(json!(false)),
        "count" => Some(json!(1)),
        // Without the old text it would be another use of the tool.
        "verb" if !given.values.contains_key("old") => None,
        "verb" => verb(given, &["str_replace", "replace", "edit"]),
        "description" => Some(json!("Edit the file")),
        _ => None,
    },
};

/// How two texts are written as one block: what stands before, between and behind them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BlockStyle {
    open: &'static str,
    close: &'static str,
    /// Whether the texts are without their last newline, which is then the same for both.
    bare: bool,
}

const RULE: &str = "=======";

const CLINE: BlockStyle = BlockStyle {
    open: "------- SEARCH",
    close: "+++++++ REPLACE",
    bare: false,
};

const ROO: BlockStyle = BlockStyle {
    open: "<<<<<<< SEARCH",
    close: ">>>>>>> REPLACE",
    bare: false,
};

const GPTME: BlockStyle = BlockStyle {
    open: "<<<<<<< ORIGINAL",
    close: ">>>>>>> UPDATED",
    bare: true,
};

/// The style that the tool's own words show, if it takes a block at all.
pub(super) fn block_style(tool: &ClientTool) -> Option<&'static BlockStyle> {
    let diff = property_of(tool.schema.root(), DIFF)?;
    let (_, node) = tool.schema.properties().find(|(name, _)| *name == diff)?;
    let words = format!("{} {node}", tool.description);
    [&CLINE, &ROO, &GPTME]
        .into_iter()
        .find(|style| words.contains(style.open))
}

impl BlockStyle {
    /// The block; `None` if it can't say just this.
    fn block(&self, old: &str, new: &str) -> Option<String> {
        let is_mark = |line: &str| {
            line.starts_with(RULE) || line.starts_with(self.open) || line.starts_with(self.close)
        };
        if old.lines().chain(new.lines()).any(is_mark) {
            return None;
        }
        let ends = |text: &str| text.len() > 1 && text.ends_with('\n');
        if self.bare && !(ends(old) && ends(new)) {
            return None;
        }
        let lines = |text: &str| match text {
            "" => String::new(),
            text => format!("{}\n", text.strip_suffix('\n').unwrap_or(text)),
        };
        let Self { open, close, .. } = self;
        let (old, new) = (lines(old), lines(new));
        Some(format!("{open}\n{old}{RULE}\n{new}{close}"))
    }
}

/// Some give and take both texts as one block.
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
        let style = block_style(given.tool).unwrap_or(&CLINE);
        if let Some(diff) = style.block(old, new) {
            given.set("diff", diff);
            given.values.remove("old");
            given.values.remove("new");
        }
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
