//! A batch's changes as calls of whatever the client offers to change files.

use serde_json::{Value, json};

use super::replace::{Replacement, replacements};
use super::{FileChange, patch, shell};
use crate::boundary::catalog::{ClientCall, ToolCatalog};

/// Several edits of one file are several calls, up to this number.
const MAX_EDITS: usize = 8;

/// How one change is made.
enum ChangeForm {
    Calls(Vec<ClientCall>),
    /// As a section of the batch's patch.
    Patch,
}

/// The calls that make these changes, in order, and the files of those that no offered tool can
/// make. With `single`, each change is one call, for clients that take one at a time. Where a tool
/// takes no file that was not read before, it is read if `unread` says so of its path.
pub(in crate::boundary) fn calls(
    catalog: &ToolCatalog,
    changes: &[FileChange],
    single: bool,
    unread: impl Fn(&str) -> bool,
) -> (Vec<ClientCall>, Vec<String>) {
    let mut calls = Vec::new();
    let mut lost = Vec::new();
    let mut patched = Vec::new();
    let mut place = 0;
    for change in changes {
        match form(catalog, change, single) {
            Some(ChangeForm::Calls(made)) => {
                let wants = change.before.is_some() && demands_reading(catalog, &made);
                if wants && unread(&change.path) {
                    calls.extend(make(catalog, "read", json!({ "path": change.path })));
                }
                calls.extend(made);
            }
            Some(ChangeForm::Patch) => {
                if patched.is_empty() {
                    place = calls.len();
                }
                patched.push(change);
            }
            None => lost.push(change.path.clone()),
        }
    }
    if let Some(made) = patch_call(catalog, &patched) {
        calls.insert(place, made);
    }
    (calls, lost)
}

/// Whether the description of a tool demands that a file is read before it is changed.
fn demands_reading(catalog: &ToolCatalog, made: &[ClientCall]) -> bool {
    let mut tools = made.iter().filter_map(|call| catalog.exact(&call.name));
    tools.any(|tool| {
        let text = tool.description.to_lowercase();
        let reads = ["read", "view"].iter().any(|word| text.contains(word));
        reads
            && ["must", "first", "before"]
                .iter()
                .any(|word| text.contains(word))
    })
}

/// The most telling form that is exact, else the nearest; a shell command where there is no other.
fn form(catalog: &ToolCatalog, change: &FileChange, single: bool) -> Option<ChangeForm> {
    let patches = || patch_call(catalog, &[change]).map(|_| ChangeForm::Patch);
    let command = || by_shell(catalog, change).map(|made| ChangeForm::Calls(vec![made]));
    let Some(after) = &change.after else {
        return one(catalog, "delete", json!({ "path": change.path }))
            .or_else(patches)
            .or_else(command);
    };
    let write = || {
        one(
            catalog,
            "write",
            json!({ "path": change.path, "content": after }),
        )
    };
    let Some(before) = change.before.as_deref().filter(|text| !text.is_empty()) else {
        // Some edit tools make a file if they are given no old text.
        let make_new = || {
            let new = json!({ "path": change.path, "newText": after });
            one(catalog, "edit", new).filter(|_| change.before.is_none())
        };
        // To edit nothing means to write, but only where nothing is known to be: `before` is
        // also unset where the agent did not say.
        let fill = || {
            change.before.as_ref()?;
            let fill = json!({ "path": change.path, "oldText": "", "newText": after });
            one(catalog, "edit", fill)
        };
        return write()
            .or_else(patches)
            .or_else(fill)
            .or_else(make_new)
            .or_else(command);
    };
    let exact = patch::is_exact(change);
    edits(catalog, change, before, after, single)
        // Editing tools handle one kind of line ending, and a text's worth of edits says less
        // than the text.
        .filter(|(_, size)| {
            let long = *size > 2 * after.len() + 200;
            write().is_none() || (!mixes_endings(before, after) && !long)
        })
        .map(|(made, _)| ChangeForm::Calls(made))
        .or_else(|| exact.then(patches).flatten())
        .or_else(write)
        .or_else(patches)
        .or_else(command)
}

/// The change as a shell command, which writes the whole file whatever stands there.
pub(in crate::boundary) fn by_shell(
    catalog: &ToolCatalog,
    change: &FileChange,
) -> Option<ClientCall> {
    catalog.of("bash")?;
    let what = format!("Change {}", change.path);
    let args = json!({ "command": shell::command(change)?, "description": what });
    make(catalog, "bash", args)
}

/// The change as edits, with the length of their texts.
fn edits(
    catalog: &ToolCatalog,
    change: &FileChange,
    before: &str,
    after: &str,
    single: bool,
) -> Option<(Vec<ClientCall>, usize)> {
    let edit = |replacement: &Replacement| {
        let args = json!({
            "path": change.path, "oldText": replacement.old, "newText": replacement.new,
        });
        make(catalog, "edit", args)
    };
    let size = |all: &[Replacement]| all.iter().map(|r| r.old.len() + r.new.len()).sum();
    let several = |max| replacements(before, after, max);

    let many = several(MAX_EDITS * 4)?;
    let list_only = many.len() == 1 && edit(&many[0]).is_none();
    if many.len() > 1 || list_only {
        let list: Vec<Value> = many
            .iter()
            .map(|r| json!({ "oldText": r.old, "newText": r.new }))
            .collect();
        let args = json!({ "path": change.path, "edits": list });
        if let Some(made) = make(catalog, "multiedit", args) {
            return Some((vec![made], size(&many)));
        }
    }
    let some = several(if single { 1 } else { MAX_EDITS })?;
    let made: Option<Vec<ClientCall>> = some.iter().map(edit).collect();
    Some((made?, size(&some)))
}

fn patch_call(catalog: &ToolCatalog, changes: &[&FileChange]) -> Option<ClientCall> {
    if changes.is_empty() {
        return None;
    }
    let workspace = catalog.workspace();
    let relative = |path: &str| {
        std::path::Path::new(path)
            .strip_prefix(workspace)
            .map_or_else(|_| path.to_owned(), |p| p.to_string_lossy().into_owned())
    };
    let sections = changes
        .iter()
        .map(|change| (*change, relative(&change.path)));
    make(
        catalog,
        "apply_patch",
        json!({ "patch": patch::patch(sections) }),
    )
}

fn one(catalog: &ToolCatalog, family: &str, args: Value) -> Option<ChangeForm> {
    make(catalog, family, args).map(|made| ChangeForm::Calls(vec![made]))
}

/// A valid call of the client's tool of a family.
fn make(catalog: &ToolCatalog, family: &str, args: Value) -> Option<ClientCall> {
    let made = catalog.call(family, args);
    made.filter(|made| made.problems.is_empty())
}

fn mixes_endings(before: &str, after: &str) -> bool {
    let style = |text: &str| {
        let crlf = text.matches("\r\n").count();
        (crlf > 0, text.matches('\n').count() > crlf)
    };
    let (before, after) = (style(before), style(after));
    before == (true, true) || after == (true, true) || (before.0 || after.0) && before != after
}

/// A word as the shell reads it back.
pub(in crate::boundary) fn quoted(word: &str) -> String {
    // A null byte has no form that a shell takes.
    let quoted = shlex::Quoter::new().allow_nul(true).quote(word);
    quoted.map_or_else(|_| word.to_owned(), Into::into)
}
