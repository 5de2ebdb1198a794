use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::agent::NativeOutcome;
use crate::boundary::catalog::{ClientCall, ToolCatalog};
use crate::boundary::testing::{WORKSPACE, map, native, opencode, opencode_gpt, tool, turn};
use crate::turn::ToolSpec;

fn catalog(tools: Vec<ToolSpec>) -> ToolCatalog {
    ToolCatalog::new(&turn(tools), std::path::Path::new(WORKSPACE))
}

fn only(names: &[&str]) -> Vec<ToolSpec> {
    let mut tools: Vec<ToolSpec> = opencode().into_iter().chain(opencode_gpt()).collect();
    tools.push(tool(
        "multiedit",
        "",
        json!({
            "file_path": {"type": "string"},
            "edits": {"type": "array", "items": {
                "type": "object",
                "properties": {"old_string": {"type": "string"}, "new_string": {"type": "string"}},
                "required": ["old_string", "new_string"],
                "additionalProperties": false,
            }},
        }),
        &["file_path", "edits"],
    ));
    tools.dedup_by(|a, b| a.name == b.name);
    tools.retain(|tool| names.contains(&tool.name.as_str()));
    tools
}

fn change(before: Option<&str>, after: Option<&str>) -> FileChange {
    FileChange {
        path: "/home/ada/engine/src/a.txt".to_owned(),
        before: before.map(str::to_owned),
        after: after.map(str::to_owned),
    }
}

/// The calls for changes that all can be made.
fn calls(catalog: &ToolCatalog, changes: &[FileChange], single: bool) -> Vec<ClientCall> {
    let (made, lost) = super::calls(catalog, changes, single, |_| true);
    assert_eq!(made.is_empty(), !lost.is_empty(), "{made:?} {lost:?}");
    made
}

/// What the client's tools make of a file, by the rules of OpenCode's and Codex's tools.
fn apply(calls: &[ClientCall], before: Option<&str>) -> Option<String> {
    let mut file = before.map(str::to_owned);
    for call in calls {
        assert_eq!(call.problems, Vec::<String>::new());
        let text = |key: &str| call.arguments[key].as_str().unwrap();
        match call.name.as_str() {
            "write" => file = Some(text("content").to_owned()),
            "edit" => file = Some(replace(file, text("oldString"), text("newString"))),
            "multiedit" => {
                for edit in call.arguments["edits"].as_array().unwrap() {
                    let part = |key: &str| edit[key].as_str().unwrap();
                    file = Some(replace(file, part("old_string"), part("new_string")));
                }
            }
            "apply_patch" => file = patched(text("patchText"), file),
            "bash" if text("command").starts_with("rm -- ") => file = None,
            "bash" => return sh(text("command"), before),
            other => panic!("{other}"),
        }
    }
    file
}

/// What a real shell makes of the file.
fn sh(command: &str, before: Option<&str>) -> Option<String> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.txt");
    let before = before.map(|text| std::fs::write(&file, text));
    assert!(before.is_none_or(|written| written.is_ok()));
    let command = command.replace("/home/ada/engine/src", dir.path().to_str().unwrap());
    let status = std::process::Command::new("sh")
        .args(["-c", &command])
        .status();
    assert!(status.unwrap().success());
    std::fs::read_to_string(file).ok()
}

fn replace(file: Option<String>, old: &str, new: &str) -> String {
    match file {
        None => {
            assert_eq!(old, "");
            new.to_owned()
        }
        Some(text) if text.is_empty() && old.is_empty() => new.to_owned(),
        Some(text) => {
            assert!(!old.is_empty(), "an empty old text is no edit");
            assert_eq!(text.find(old), text.rfind(old), "{old:?} is not unique");
            assert!(text.contains(old), "{old:?} is not in {text:?}");
            text.replacen(old, new, 1)
        }
    }
}

/// Applies a patch to one file as OpenCode's tool does: chunks in order, each at the first place
/// where its old lines stand; the text ends with a newline. A line may end in `\r`.
fn patched(patch: &str, file: Option<String>) -> Option<String> {
    let body = patch.strip_prefix("*** Begin Patch\n").unwrap();
    let body = body.strip_suffix("*** End Patch").unwrap();
    assert!(!body.lines().any(|line| line.trim() == "*** End Patch"));
    let (header, body) = body.split_once('\n').unwrap();
    assert!(header.ends_with(" src/a.txt"), "{header}");
    if header.starts_with("*** Delete File: ") {
        return None;
    }
    if header.starts_with("*** Add File: ") {
        let lines: Vec<&str> = body
            .split_terminator('\n')
            .map(|line| line.strip_prefix('+').unwrap())
            .collect();
        let text = lines.join("\n");
        let whole = text.is_empty() || text.ends_with('\n');
        return Some(if whole { text } else { text + "\n" });
    }
    assert!(header.starts_with("*** Update File: "));
    let file = file.unwrap();
    let mut lines: Vec<&str> = file.split('\n').collect();
    if lines.last() == Some(&"") {
        lines.pop();
    }
    let mut out: Vec<&str> = Vec::new();
    let mut from = 0;
    let mut chunks: Vec<Vec<&str>> = Vec::new();
    for line in body.split_terminator('\n') {
        match line {
            "@@" => chunks.push(Vec::new()),
            line => chunks.last_mut().unwrap().push(line),
        }
    }
    for chunk in chunks {
        let side = |sign: char| -> Vec<&str> {
            let ours = chunk.iter().filter(|line| line.starts_with([' ', sign]));
            ours.map(|line| &line[1..]).collect()
        };
        let (old, new) = (side('-'), side('+'));
        let at = match old.is_empty() {
            true => lines.len(),
            false => (from..=lines.len() - old.len())
                .find(|at| lines[*at..at + old.len()] == old)
                .unwrap_or_else(|| panic!("{old:?} not in {lines:?} from {from}")),
        };
        out.extend(&lines[from..at]);
        out.extend(new);
        from = at + old.len();
    }
    out.extend(&lines[from..]);
    if out.last() != Some(&"") {
        out.push("");
    }
    Some(out.join("\n"))
}

#[test]
fn changes_take_the_form_that_the_client_offers() {
    let after = "one\ntwo\nthree\n";
    let cases: &[(&[&str], FileChange, &[&str])] = &[
        (&["edit", "write"], change(None, Some(after)), &["write"]),
        (&["edit"], change(None, Some(after)), &[]),
        (&["edit"], change(Some(""), Some(after)), &["edit"]),
        (
            &["apply_patch", "bash"],
            change(None, Some(after)),
            &["apply_patch"],
        ),
        (
            &["edit", "write"],
            change(Some("one\n2\nthree\n"), Some(after)),
            &["edit"],
        ),
        (
            &["edit", "write"],
            change(Some(""), Some(after)),
            &["write"],
        ),
        (
            &["write"],
            change(Some("one\n2\nthree\n"), Some(after)),
            &["write"],
        ),
        (
            &["apply_patch", "bash"],
            change(Some("one\n"), None),
            &["apply_patch"],
        ),
        (&["bash", "edit"], change(Some("one\n"), None), &["bash"]),
        (&["read", "edit"], change(Some("one\n"), None), &[]),
        (&["read"], change(Some("one\n"), Some(after)), &[]),
        // With nothing but a shell.
        (&["bash"], change(None, Some(after)), &["bash"]),
        (
            &["read", "bash"],
            change(Some("one\n"), Some(after)),
            &["bash"],
        ),
        (&["edit", "bash"], change(None, Some(after)), &["bash"]),
        // Mixed line endings are more than an editing tool keeps apart.
        (
            &["edit", "write"],
            change(Some("a\r\nb\n"), Some("a\r\nc\n")),
            &["write"],
        ),
        // A text without final newline is more than a patch can say.
        (
            &["apply_patch", "write"],
            change(Some("a\n"), Some("b")),
            &["write"],
        ),
    ];
    for (offered, change, want) in cases {
        let made = calls(&catalog(only(offered)), std::slice::from_ref(change), false);
        let names: Vec<&str> = made.iter().map(|made| made.name.as_str()).collect();
        assert_eq!(names, *want, "{offered:?} {change:?}");
        if !want.is_empty() {
            assert_eq!(apply(&made, change.before.as_deref()), change.after);
        }
    }
}

#[test]
fn far_apart_differences_are_several_edits() {
    let before: String = (0..100).map(|n| format!("line {n}\n")).collect();
    let after = before
        .replace("line 5\n", "line five\n")
        .replace("line 90\n", "");
    let change = change(Some(&before), Some(&after));
    let edits = calls(
        &catalog(only(&["edit", "write"])),
        std::slice::from_ref(&change),
        false,
    );
    assert_eq!(edits.len(), 2);
    assert_eq!(edits[0].arguments["oldString"], "line 5\n");
    let single = calls(
        &catalog(only(&["edit", "write"])),
        std::slice::from_ref(&change),
        true,
    );
    assert_eq!(single.len(), 1);
    let multi = calls(
        &catalog(only(&["edit", "multiedit"])),
        std::slice::from_ref(&change),
        false,
    );
    assert_eq!(multi[0].arguments["edits"].as_array().unwrap().len(), 2);
    for made in [edits, single, multi] {
        assert_eq!(apply(&made, Some(&before)), Some(after.clone()));
    }
}

#[test]
fn several_files_are_one_patch() {
    let other = FileChange {
        path: "/elsewhere/b.txt".to_owned(),
        ..change(None, Some("b\n"))
    };
    let both = [change(Some("a\n"), Some("c\n")), other];
    let made = calls(&catalog(only(&["apply_patch"])), &both, true);
    let [made] = made.as_slice() else {
        panic!("{made:?}")
    };
    assert_eq!(
        made.arguments["patchText"],
        "*** Begin Patch\n*** Update File: src/a.txt\n@@\n-a\n+c\n\
         *** Add File: /elsewhere/b.txt\n+b\n*** End Patch"
    );
}

#[test]
fn completed_edits_report_their_change() {
    let call = |outcome: &str, body: Value| NativeCall {
        outcome: Some(NativeOutcome {
            name: outcome.to_owned(),
            body: body.into(),
        }),
        ..native("edit", "e", json!({"path": "/w/a"}))
    };
    let full = json!({"path": "/w/a", "beforeFullFileContent": "a", "afterFullFileContent": "b"});
    let same = json!({"beforeFullFileContent": "a", "afterFullFileContent": "a"});
    assert_eq!(
        FileChange::of(&call("success", full.clone())),
        Some(FileChange {
            path: "/w/a".to_owned(),
            before: Some("a".to_owned()),
            after: Some("b".to_owned()),
        })
    );
    assert_eq!(FileChange::of(&call("error", full)), None);
    assert_eq!(FileChange::of(&call("success", same)), None);
    assert_eq!(FileChange::of(&call("success", Value::Null)), None);
    assert_eq!(map(json!({})).len(), 0);
}

/// Texts with repeated and empty lines, with and without final newline, and one that follows from
/// the other by a few differences as often as not.
fn texts() -> impl Strategy<Value = (String, String)> {
    let line = prop_oneof![
        4 => "[ab]{0,2}", 1 => Just("*** End Patch".to_owned()), 1 => Just("@@".to_owned()),
        1 => "[ é+-]{1,3}",
    ];
    let lines = prop::collection::vec(line.clone(), 0..24);
    let edits = prop::collection::vec((any::<prop::sample::Index>(), 0..3, line), 0..4);
    (
        lines.clone(),
        lines,
        edits,
        0..3,
        any::<(bool, bool)>(),
        0..4,
    )
        .prop_map(|(before, other, edits, kind, (end_a, end_b), mix)| {
            let mut after = if kind == 0 { other } else { before.clone() };
            for (at, what, line) in edits {
                let at = at.index(after.len() + 1);
                match what {
                    0 => after.insert(at, line),
                    1 if at < after.len() => after[at] = line,
                    _ if at < after.len() => drop(after.remove(at)),
                    _ => {}
                }
            }
            // All lines end in one way, or those with an even length in the other.
            let ending = |line: &str| match (mix, line.len() % 2) {
                (0, _) | (1, 0) => "\r\n",
                _ => "\n",
            };
            let text = |lines: Vec<String>, end: bool| {
                let mut text = String::new();
                for (at, line) in lines.iter().enumerate() {
                    text += line;
                    if end || at + 1 < lines.len() {
                        text += ending(line);
                    }
                }
                text
            };
            (text(before, end_a), text(after, end_b))
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// The calls make `after` of `before`, byte for byte, whatever the client offers.
    #[test]
    fn calls_make_the_change((before, after) in texts(), new in any::<bool>(), single in any::<bool>()) {
        if before == after {
            return Ok(());
        }
        let before = (!new).then_some(before);
        let change = change(before.as_deref(), Some(&after));
        for offered in [
            &["edit", "write", "bash"][..], &["write"], &["multiedit", "write"],
            &["apply_patch", "write"], &["edit", "apply_patch"], &["apply_patch"],
        ] {
            let made = calls(&catalog(only(offered)), std::slice::from_ref(&change), single);
            prop_assert!(!made.is_empty());
            prop_assert!(!single || made.len() == 1);
            let got = apply(&made, before.as_deref()).unwrap();
            if made[0].name == "apply_patch" && !patch::is_exact(&change) {
                // The nearest that the tool can say.
                let plain = |text: &str| text.trim_end_matches('\n').to_owned();
                prop_assert_eq!(plain(&got), plain(&after), "{:?}", made);
            } else {
                prop_assert_eq!(&got, &after, "{:?}", made);
            }
        }
    }

    /// Edits don't depend on the order in which the client makes them.
    #[test]
    fn edits_are_independent((before, after) in texts()) {
        if before == after || before.is_empty() {
            return Ok(());
        }
        let change = change(Some(&before), Some(&after));
        let mut made = calls(&catalog(only(&["edit", "write"])), &[change], false);
        made.reverse();
        prop_assert_eq!(apply(&made, Some(&before)), Some(after));
    }
}
