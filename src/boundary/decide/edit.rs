//! Edits whose exact call is known when they are announced.

use serde_json::{Map, Value, json};

use super::Decider;
use crate::boundary::{
    catalog::ClientCall,
    change::{self, FileChange},
    native::Intent,
};

/// Where an edit carries a text by itself: a whole file, or of the last one perhaps a fragment.
pub(super) const TEXTS: [&str; 3] = ["fileText", "content", FRAGMENT];

const FRAGMENT: &str = "streamContent";

impl Decider {
    /// Edits need their change: the event of an edit holds only the new fragment. A call is made
    /// at once only where the arguments are exact by themselves, which is where they hold a whole
    /// file that is new, or the old text with its replacement.
    pub(super) fn edit(&self, edit: &Intent) -> Option<Vec<ClientCall>> {
        let calls = self.exact_edit(edit)?;
        let is_exact = !calls.is_empty() && calls.iter().all(|made| made.problems.is_empty());
        is_exact.then_some(calls)
    }

    fn exact_edit(&self, edit: &Intent) -> Option<Vec<ClientCall>> {
        let args = &edit.args;
        let path = args.get("path")?.as_str()?;
        let make = |family, args| self.catalog.call(family, args);
        let text = |key: &&str| Some((*key == FRAGMENT, args.get(*key)?.as_str()?));
        if let Some((is_fragment, text)) = TEXTS.iter().find_map(text) {
            let new = FileChange {
                path: path.to_owned(),
                before: None,
                after: Some(text.to_owned()),
            };
            let workspace = self.catalog.workspace();
            let is_new = self.absent.contains(&workspace.join(path))
                || self.history.is_missing(path, workspace);
            return match is_new {
                true => Some(self.changes(&[new]).0),
                false if is_fragment => None,
                // What stands there is not known, and need not be.
                false => make("write", json!({ "path": path, "content": text }))
                    .filter(|made| made.problems.is_empty())
                    .or_else(|| change::by_shell(&self.catalog, &new))
                    .map(|made| vec![made]),
            };
        }
        if let Some(patch) = args.get("applyPatch").and_then(|p| p.get("patchContent")) {
            let whole = patch.as_str()?.trim_start().starts_with("*** Begin Patch");
            return whole
                .then(|| make("apply_patch", json!({ "patch": patch })).map(|m| vec![m]))?;
        }
        let list = replacements(args)?;
        if let [one] = list.as_slice() {
            let single = make("edit", with_path(one, path));
            let listed = || make("multiedit", json!({ "path": path, "edits": [one] }));
            return Some(vec![single.or_else(listed)?]);
        }
        match make("multiedit", json!({ "path": path, "edits": list })) {
            Some(made) => Some(vec![made]),
            None if self.parallel => list
                .iter()
                .map(|one| make("edit", with_path(one, path)))
                .collect(),
            None => None,
        }
    }
}

/// The replacements of an edit that names its old texts, as `{oldText, newText, replaceAll?}`. An
/// empty old text names nothing.
fn replacements(args: &Map<String, Value>) -> Option<Vec<Value>> {
    let list = args
        .get("multiStrReplace")
        .and_then(|multi| multi.get("edits"))
        .or_else(|| args.get("edits"))
        .and_then(Value::as_array);
    let one = |edit: &Value| {
        let old = edit
            .get("oldText")?
            .as_str()
            .filter(|old| !old.is_empty())?;
        let mut exact = json!({ "oldText": old, "newText": edit.get("newText")?.as_str()? });
        if edit.get("replaceAll") == Some(&Value::Bool(true)) {
            exact["replaceAll"] = json!(true);
        }
        Some(exact)
    };
    match list {
        Some(list) => list.iter().map(one).collect(),
        None => {
            let single = args.get("strReplace").cloned();
            let single = single.unwrap_or_else(|| Value::Object(args.clone()));
            Some(vec![one(&single)?])
        }
    }
}

fn with_path(edit: &Value, path: &str) -> Value {
    let mut edit = edit.clone();
    edit["path"] = json!(path);
    edit
}
