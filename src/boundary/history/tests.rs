use serde_json::json;

use super::*;
use crate::boundary::testing::{Round, WORKSPACE, calls, map, opencode, turn, with_rounds};

fn history(rounds: &[Round]) -> History {
    History::new(&with_rounds(turn(opencode()), rounds.iter().copied()))
}

#[test]
fn a_file_is_missing_only_if_the_transcript_says_so() {
    let path = "/home/ada/engine/src/new.rs";
    let look = |content| ("read", json!({ "filePath": path }), content);
    let relative = (
        "read",
        json!({"filePath": "src/new.rs"}),
        "File not found: src/new.rs",
    );
    let other = |content| ("read", json!({"filePath": "/other.rs"}), content);
    let write = (
        "write",
        json!({"filePath": path, "content": ""}),
        "Wrote file successfully.",
    );
    let bash = ("bash", json!({"command": "make"}), "ok");
    let delete = ("delete_file", json!({ "path": path }), "Deleted.");
    let cases: &[(&[Round], bool)] = &[
        (&[], false),
        (&[&[look("File not found: x")]], true),
        (&[&[relative]], true),
        (&[&[look("text")]], false),
        (
            &[&[look("File not found: x")], std::slice::from_ref(&write)],
            false,
        ),
        (&[std::slice::from_ref(&write), &[delete]], true),
        (&[&[look("File not found: x")], &[other("text")]], true),
        (
            &[&[look("File not found: x")], &[other("mod new; // new.rs")]],
            false,
        ),
        (&[&[look("File not found: x")], &[bash]], false),
        (&[&[other("File not found: /other.rs")]], false),
    ];
    for (rounds, missing) in cases {
        let got = history(rounds).is_missing("src/new.rs", Path::new(WORKSPACE));
        assert_eq!(got, *missing, "{rounds:?}");
    }
}

#[test]
fn a_new_file_is_written_at_once_if_the_transcript_shows_it_missing() {
    use crate::agent::AgentEvent;
    use crate::boundary::BoundaryOptions;
    use crate::boundary::testing::{native, run};
    let args = json!({"path": "a.rs", "streamContent": "x\n"});
    assert_eq!(calls(opencode(), "edit", args.clone()), []);
    let round: Round = &[("read", json!({"filePath": "a.rs"}), "File not found: a.rs")];
    let turn = with_rounds(turn(opencode()), [round]);
    let event = AgentEvent::ToolStarted(Box::new(native("edit", "e", args)));
    assert_eq!(
        run(&turn, &BoundaryOptions::default(), [event]).named(),
        [(
            "write".to_owned(),
            json!({"filePath": "/home/ada/engine/a.rs", "content": "x\n"})
        )]
    );
}

#[test]
fn a_partial_update_completes_the_list() {
    let item = |content: &str, status: &str| json!({"content": content, "status": status, "priority": "high"});
    let list = json!({"todos": [item("one", "completed"), item("two", "pending")]});
    let rounds: &[Round] = &[&[("todowrite", list, "[]")]];
    let cases = [
        (
            json!([{"id": "2", "content": "two", "status": "TODO_STATUS_COMPLETED"}]),
            json!(["one", "two"]),
            1,
        ),
        (
            json!([{"id": "2", "status": "TODO_STATUS_COMPLETED"}]),
            json!(["one", "two"]),
            1,
        ),
        (
            json!([{"id": "9", "content": "new", "status": "TODO_STATUS_COMPLETED"}]),
            json!(["one", "two", "new"]),
            2,
        ),
        (
            json!([{"id": "9", "status": "TODO_STATUS_COMPLETED"}]),
            json!(["one", "two"]),
            0,
        ),
    ];
    for (update, contents, changed) in cases {
        let mut args = map(json!({ "todos": update, "merge": true }));
        history(rounds).merge_todos(&mut args);
        let todos = args["todos"].as_array().unwrap();
        let got: Vec<&Value> = todos.iter().map(|todo| &todo["content"]).collect();
        assert_eq!(json!(got), contents);
        let want = if changed == 0 {
            "completed"
        } else {
            "TODO_STATUS_COMPLETED"
        };
        assert_eq!(todos[changed]["status"], want);
    }
    let mut first = map(json!({"todos": [{"content": "a"}], "merge": true}));
    history(&[]).merge_todos(&mut first);
    assert_eq!(first["todos"], json!([{"content": "a"}]));
}
