//! Edits, whose call is made of their change.

use super::*;
use crate::boundary::testing::TestRun;

#[test]
fn an_edit_waits_for_its_change() {
    let edit = native("edit", "e", json!({"path": "/home/ada/engine/new.txt"}));
    let mut boundary = Translator::new(
        &turn(opencode()),
        Path::new(WORKSPACE),
        &BoundaryOptions::default(),
    );
    let mut out = Vec::new();
    let verdict = boundary.on_event(AgentEvent::ToolStarted(Box::new(edit.clone())), &mut out);
    assert_eq!(verdict, Verdict::Continue);
    let event = done(
        &edit,
        "success",
        json!({"path": "/home/ada/engine/new.txt", "afterFullFileContent": "hi\n"}),
    );
    assert_eq!(boundary.on_event(event, &mut out), Verdict::Settling);
    let verdict = boundary.settle(&mut out);
    assert_eq!(verdict, Verdict::Need(Need::Changes));
    let made = made(boundary.learn(Fact::Changes(Vec::new()), &mut out));
    assert_eq!(
        made,
        [(
            "write".to_owned(),
            json!({"filePath": "/home/ada/engine/new.txt", "content": "hi\n"})
        )]
    );
}

#[test]
fn a_failed_edit_is_no_call() {
    let edit = native("edit", "e", json!({"path": "/a", "streamContent": "x"}));
    let events = [
        AgentEvent::ToolStarted(Box::new(edit.clone())),
        done(&edit, "error", json!({"error": "no"})),
        text("Could not."),
        finished("Could not."),
    ];
    let outcome = run(&turn(opencode()), &BoundaryOptions::default(), events);
    assert_eq!(outcome.calls().len(), 0);
    assert_eq!(outcome.text(), "Could not.");
}

#[test]
fn an_edit_with_its_old_text_is_exact_at_once() {
    let args = json!({
        "path": "src/a.rs",
        "strReplace": {"oldText": "one", "newText": "two", "replaceAll": false},
    });
    assert_eq!(
        calls(opencode(), "edit", args),
        [(
            "edit".to_owned(),
            json!({"filePath": "/home/ada/engine/src/a.rs", "oldString": "one", "newString": "two"})
        )]
    );
    let empty = json!({"path": "a", "strReplace": {"oldText": "", "newText": "two"}});
    assert_eq!(calls(opencode(), "edit", empty), []);
}

#[test]
fn the_view_knows_better_than_the_event() {
    let edit = native(
        "edit",
        "e",
        json!({"path": "/home/ada/engine/a", "streamContent": "y"}),
    );
    let change = |path: &str, before: &str, after: &str| FileChange {
        path: path.to_owned(),
        before: Some(before.to_owned()),
        after: Some(after.to_owned()),
    };
    let mut boundary = Translator::new(
        &turn(opencode()),
        Path::new(WORKSPACE),
        &BoundaryOptions::default(),
    );
    let mut out = Vec::new();
    let file = Path::new("/home/ada/engine/a");
    let body = json!({"beforeFullFileContent": "x\n", "afterFullFileContent": "y\n"});
    for (event, standing) in [
        (
            AgentEvent::ToolStarted(Box::new(edit.clone())),
            Verdict::Continue,
        ),
        (done(&edit, "success", body), Verdict::Settling),
    ] {
        let verdict = boundary.on_event(event, &mut out);
        assert_eq!(verdict, Verdict::Need(Need::Exists(file.to_owned())));
        let fact = Fact::Exists(file.to_owned(), true);
        assert_eq!(boundary.learn(fact, &mut out), standing);
    }
    let changes = vec![
        change("/home/ada/engine/a", "x\nz\n", "y\nz\n"),
        change("/home/ada/engine/b", "1\n", "2\n"),
    ];
    assert_eq!(boundary.settle(&mut out), Verdict::Need(Need::Changes));
    let made = made(boundary.learn(Fact::Changes(changes), &mut out));
    let olds: Vec<&Value> = made.iter().map(|(_, args)| &args["oldString"]).collect();
    assert_eq!(olds, ["x\n", "1\n"]);
}

/// The agent makes what was already a call, too, and the view shows it.
#[test]
fn a_call_and_its_change_in_the_view_are_one() {
    let edit = native("edit", "e", json!({"path": "a"}));
    let delete = native("delete", "d", json!({"path": "c"}));
    let replace = |id: &str| {
        let args = json!({"path": "b", "strReplace": {"oldText": "1", "newText": "2"}});
        native("edit", id, args)
    };
    let change = |path: &str, before: Option<&str>, after: Option<&str>| FileChange {
        path: format!("{WORKSPACE}/{path}"),
        before: before.map(str::to_owned),
        after: after.map(str::to_owned),
    };
    let mut boundary = Translator::new(
        &turn(opencode()),
        Path::new(WORKSPACE),
        &BoundaryOptions::default(),
    );
    let mut out = Vec::new();
    for call in [&edit, &replace("r"), &delete, &replace("s")] {
        boundary.on_event(AgentEvent::ToolStarted(Box::new(call.clone())), &mut out);
    }
    let body = json!({"beforeFullFileContent": "x\n", "afterFullFileContent": "y\n"});
    for (call, settled) in [(&replace("r"), false), (&delete, false), (&edit, true)] {
        let verdict = boundary.on_event(done(call, "success", body.clone()), &mut out);
        assert_eq!(verdict == Verdict::Settling, settled);
    }
    let changes = vec![
        change("a", Some("x\n"), Some("y\n")),
        change("b", Some("1 1\n"), Some("2 1\n")),
        change("c", Some("c\n"), None),
    ];
    let verdict = boundary.on_event(AgentEvent::Activity, &mut out);
    assert_eq!(verdict, Verdict::Need(Need::Changes));
    // The second replacement in `b` is not over yet.
    let verdict = boundary.learn(Fact::Changes(changes.clone()), &mut out);
    assert_eq!(verdict, Verdict::Continue);
    boundary.on_event(done(&replace("s"), "success", json!({})), &mut out);
    let mut last = changes;
    last[1].after = Some("2 2\n".to_owned());
    assert_eq!(boundary.settle(&mut out), Verdict::Need(Need::Changes));
    let made = made(boundary.learn(Fact::Changes(last), &mut out));
    let names: Vec<&str> = made.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["edit", "edit", "bash"], "{made:?}");
    assert_eq!(made[1].1["newString"], "2 2\n");
}

#[test]
fn two_edits_of_a_file_are_one_change_in_its_place() {
    let edit = |id: &str| native("edit", id, json!({"path": "/a"}));
    let body = |before: &str, after: &str| json!({"path": "/a", "beforeFullFileContent": before, "afterFullFileContent": after});
    let events = [
        AgentEvent::ToolStarted(Box::new(edit("1"))),
        started("shell", "s", json!({"command": "make"})),
        AgentEvent::ToolStarted(Box::new(edit("2"))),
        done(&edit("2"), "success", body("b\n", "c\n")),
        done(&edit("1"), "success", body("a\n", "b\n")),
    ];
    // The events tell the order of the changes only by their texts.
    let outcome = run(&turn(opencode()), &BoundaryOptions::default(), events);
    let names: Vec<String> = outcome.named().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), 2, "{:?}", outcome.named());
}

/// What a run of one edit, and a word after it, comes to where the view shows this change.
fn edited(tools: Vec<ToolSpec>, call: &NativeCall, change: &FileChange) -> (TestRun, Vec<String>) {
    let mut boundary = Translator::new(
        &turn(tools),
        Path::new(WORKSPACE),
        &BoundaryOptions::default(),
    );
    let mut run = TestRun::default();
    let events = [
        AgentEvent::ToolStarted(Box::new(call.clone())),
        done(call, "success", json!({})),
        text("Done."),
        finished("Done. Bye."),
    ];
    for event in events {
        let mut verdict = boundary.on_event(event, &mut run.deltas);
        while verdict == Verdict::Need(Need::Changes) {
            verdict = boundary.learn(Fact::Changes(vec![change.clone()]), &mut run.deltas);
        }
        run.follow(&mut boundary, verdict);
        if run.end.is_some() {
            break;
        }
    }
    let lost = boundary.take_lost();
    (run, lost)
}

#[test]
fn a_change_that_no_tool_can_make_is_named_and_the_answer_goes_on() {
    let path = format!("{WORKSPACE}/a");
    let change = |after: Option<&str>| FileChange {
        path: path.clone(),
        before: Some("x\n".to_owned()),
        after: after.map(str::to_owned),
    };
    let edit = native("edit", "e", json!({ "path": path }));
    let delete = native("delete", "d", json!({ "path": path }));
    let cases = [(edit, change(Some("y\n"))), (delete, change(None))];
    let only = |name: &str| -> Vec<ToolSpec> {
        let tools = opencode().into_iter();
        tools.filter(|tool| tool.name == name).collect()
    };
    for (call, change) in &cases {
        for tools in [vec![], only("read")] {
            let (run, lost) = edited(tools, call, change);
            assert_eq!(run.text(), "Done. Bye.");
            assert_eq!(
                (run.calls().len(), run.end.as_ref()),
                (0, Some(&FinishReason::Stop))
            );
            assert_eq!(lost, std::slice::from_ref(&path));
        }
        let (run, lost) = edited(opencode(), call, change);
        assert_eq!((run.calls().len(), lost.len()), (1, 0));
    }
    // A shell is enough.
    let (run, lost) = edited(only("bash"), &cases[0].0, &cases[0].1);
    assert_eq!(lost, [""; 0]);
    assert!(
        run.calls()[0].arguments.contains("cat <<"),
        "{:?}",
        run.calls()
    );
}

#[test]
fn an_edit_that_is_a_whole_file_is_a_write() {
    let args = json!({"path": "src/a.rs", "content": "fn a() {}\n"});
    let want = json!({"filePath": "/home/ada/engine/src/a.rs", "content": "fn a() {}\n"});
    for kind in ["edit", "write"] {
        assert_eq!(
            calls(opencode(), kind, args.clone()),
            [("write".to_owned(), want.clone())]
        );
    }
}

/// With a shell for the only tool, what is written is written by a command, also over another text.
#[test]
fn a_whole_file_without_a_tool_for_it_is_a_command() {
    for exists in [true, false] {
        for (kind, key) in [
            ("edit", "content"),
            ("write", "fileText"),
            ("edit", "streamContent"),
        ] {
            let shell = opencode().into_iter().filter(|tool| tool.name == "bash");
            let turn = turn(shell.collect());
            let options = BoundaryOptions::default();
            let mut boundary = Translator::new(&turn, WORKSPACE.as_ref(), &options);
            let args = json!({"path": "src/a.rs", key: "fn a() {}\n"});
            let mut out = Vec::new();
            let verdict = boundary.on_event(started(kind, "e", args), &mut out);
            let Verdict::Need(Need::Exists(file)) = verdict else {
                panic!("{verdict:?}");
            };
            boundary.learn(Fact::Exists(file, exists), &mut out);
            let verdict = boundary.settle(&mut out);
            if exists && key == "streamContent" {
                // It may be a fragment of the file.
                assert_eq!(verdict, Verdict::Continue);
                continue;
            }
            let made = made(verdict);
            assert_eq!(made.len(), 1, "{kind} {key} {exists}");
            let command = made[0].1["command"].as_str().unwrap_or_default();
            assert!(command.contains("fn a() {}\n"), "{command}");
            assert!(command.contains("> src/a.rs"), "{command}");
        }
    }
}

#[test]
fn the_client_is_not_sent_to_the_agents_own_directory() {
    let file = format!("{WORKSPACE}/src/new.txt");
    let command = format!("cd {WORKSPACE} && cat {file}");
    let turn = turn(opencode());
    let mut boundary = Translator::new(&turn, WORKSPACE.as_ref(), &BoundaryOptions::default());
    let mut out = Vec::new();
    boundary.learn(Fact::OwnDirectory, &mut out);
    boundary.on_event(
        started("shell", "a", json!({ "command": command })),
        &mut out,
    );
    boundary.on_event(started("read", "b", json!({ "path": file })), &mut out);
    let made = made(boundary.settle(&mut out));
    let arguments: Vec<&Value> = made.iter().map(|(_, arguments)| arguments).collect();
    assert_eq!(arguments[0]["command"], "cd . && cat ./src/new.txt");
    assert_eq!(arguments[1], &json!({"filePath": "./src/new.txt"}));
}
