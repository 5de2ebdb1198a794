//! Runs that work on in their view: their changes are collected, and a run that has ended waits with
//! its last word until the client has made them.

use std::fs;

use open_cursor::engine::Turns;
use serde_json::{Value, json};

use crate::{
    parked::{Said, Talk, nothing_left, said},
    support::{Setup, TestServer, wait_until},
    tools::opencode_tools,
};

const TEXT: &str = "one\ntwo\nthree\n";

/// A server whose runs collect their changes; `None` where the machine gives no view.
async fn server(change: impl FnOnce(&mut Setup)) -> Option<TestServer> {
    let server = TestServer::with(|setup| {
        setup.engine.turns = Turns::ParkedView;
        setup.engine.boundary.native_reads = true;
        change(setup);
    })
    .await;
    for (name, text) in [
        ("fake-edit.txt", TEXT),
        ("old.txt", "old\n"),
        ("gone.txt", "here\n"),
    ] {
        fs::write(server.workspace.path().join(name), text).unwrap();
    }
    let health = server.get("/health").await.json();
    let view = &health["fence"]["view"];
    if view["state"] == "enforced" {
        assert_eq!(health["carrier"], "view");
        return Some(server);
    }
    println!("skipped: no view here: {view}");
    None
}

/// A conversation with a client that refuses an edit of what it has not read, as OpenCode and Claude
/// Code do.
fn conversation<'a>(server: &'a TestServer, model: &str) -> Talk<'a> {
    let mut talk = Talk::new(server, model);
    for tool in talk.body["tools"].as_array_mut().unwrap() {
        if tool["function"]["name"] == "edit" {
            tool["function"]["description"] =
                "Edits a file. You must use the read tool at least once before you edit.".into();
        }
    }
    talk
}

/// Asks, and keeps the calls as the client got them.
async fn ask(talk: &mut Talk<'_>) -> (Said, Vec<(String, Value)>) {
    let answer = talk.send().await;
    let message = answer.json()["choices"][0]["message"].clone();
    let calls = message["tool_calls"].as_array().into_iter().flatten();
    let calls = calls.map(|call| {
        let function = &call["function"];
        let arguments = function["arguments"].as_str().unwrap();
        (
            function["name"].as_str().unwrap().to_owned(),
            serde_json::from_str(arguments).unwrap(),
        )
    });
    let calls = calls.collect();
    talk.push(message);
    (said(&answer), calls)
}

fn names(calls: &[(String, Value)]) -> Vec<&str> {
    calls.iter().map(|(name, _)| name.as_str()).collect()
}

fn starts(server: &TestServer) -> u64 {
    server.app.engine().starts()
}

#[tokio::test]
async fn a_task_of_reads_and_edits_is_one_start() {
    let Some(server) = server(|_| {}).await else {
        return;
    };
    let mut talk = conversation(&server, "fake-changes-treterndt");
    let (first, calls) = ask(&mut talk).await;
    assert_eq!(
        (first.run.as_str(), first.finish.as_str()),
        ("fresh", "tool_calls")
    );
    assert_eq!(first.text, "Step 0. Step 3. ", "the last word waits");
    let edits: Vec<_> = calls.iter().filter(|(name, _)| name == "edit").collect();
    assert_eq!(edits.len(), 1, "changes of a file are one: {calls:?}");
    let new = edits[0].1["newString"].as_str().unwrap();
    assert!(new.contains("line 2\nline 4\n"), "{new}");
    assert!(names(&calls).contains(&"write"), "{calls:?}");
    let read = names(&calls).iter().position(|name| *name == "read");
    let edit = names(&calls).iter().position(|name| *name == "edit");
    assert!(
        read.is_some() && read < edit,
        "it is read before: {calls:?}"
    );
    assert_eq!(server.app.engine().parked(), 1);
    wait_until("the end of the agent", || server.agents().is_empty()).await;
    assert_eq!(
        fs::read_to_string(server.workspace.path().join("fake-edit.txt")).unwrap(),
        TEXT,
        "nothing was changed here"
    );
    for id in &first.calls {
        talk.result(id, "done");
    }
    let (last, calls) = ask(&mut talk).await;
    assert_eq!(
        (last.run.as_str(), last.finish.as_str()),
        ("resumed", "stop")
    );
    assert_eq!(last.text, "Step 8. ");
    assert!(calls.is_empty());
    assert_eq!(starts(&server), 1);
    nothing_left(&server).await;
}

#[tokio::test]
async fn changes_go_out_before_the_call_that_needs_them() {
    let Some(server) = server(|_| {}).await else {
        return;
    };
    let mut talk = conversation(&server, "fake-changes-etnts");
    let (said, calls) = ask(&mut talk).await;
    assert_eq!(names(&calls), ["read", "edit", "write", "bash"]);
    assert_eq!(said.text, "Step 1. Step 3. ");
    assert_eq!(server.app.engine().parked(), 0, "Cursor's shell can't wait");
    nothing_left(&server).await;
}

#[tokio::test]
async fn a_change_that_was_not_made_starts_a_fresh_run() {
    let Some(server) = server(|_| {}).await else {
        return;
    };
    let refused = "Error: oldString not found in content";
    for (content, words) in [(refused, None), ("done", Some("now do something else"))] {
        let before = starts(&server);
        let mut talk = conversation(&server, "fake-changes-net");
        let (first, _) = ask(&mut talk).await;
        for id in &first.calls {
            talk.result(id, content);
        }
        if let Some(words) = words {
            talk.push(json!({"role": "user", "content": words}));
        }
        let (second, _) = ask(&mut talk).await;
        assert_eq!(second.run, "fresh", "{content}");
        assert_eq!(starts(&server) - before, 2);
    }
    server.app.engine().drain();
    nothing_left(&server).await;
}

#[tokio::test]
async fn results_that_miss_are_asked_for_again_and_the_word_is_said_once() {
    let Some(server) = server(|_| {}).await else {
        return;
    };
    let mut talk = conversation(&server, "fake-changes-net");
    let (first, calls) = ask(&mut talk).await;
    assert!(calls.len() > 1, "{calls:?}");
    talk.result(&first.calls[0], "done");
    let (again, _) = ask(&mut talk).await;
    assert_eq!(again.calls, first.calls[1..], "the same ids");
    assert_eq!(again.text, "");
    for id in &again.calls {
        talk.result(id, "done");
    }
    let whole = talk.body.clone();
    let (last, _) = ask(&mut talk).await;
    assert_eq!(
        (last.text.as_str(), last.run.as_str()),
        ("Step 2. ", "resumed")
    );
    // A retry gets the same answer, and nothing runs for it.
    talk.body = whole;
    let (retry, _) = ask(&mut talk).await;
    assert_eq!(
        (retry.text.as_str(), retry.run.as_str()),
        ("Step 2. ", "replayed")
    );
    assert_eq!(starts(&server), 1);
    nothing_left(&server).await;
}

#[tokio::test]
async fn one_call_at_a_time() {
    let Some(server) = server(|_| {}).await else {
        return;
    };
    let mut talk = conversation(&server, "fake-changes-dent");
    talk.body["parallel_tool_calls"] = false.into();
    let mut seen = Vec::new();
    let last = loop {
        let (said, calls) = ask(&mut talk).await;
        if calls.is_empty() {
            break said;
        }
        assert_eq!(calls.len(), 1);
        seen.extend(calls.into_iter().map(|(name, _)| name));
        talk.result(&said.calls[0], "done");
    };
    assert_eq!(last.text, "Step 3. ");
    assert!(seen.len() >= 3, "{seen:?}");
    assert_eq!(starts(&server), 1);
    nothing_left(&server).await;
}

#[tokio::test]
async fn a_file_that_somebody_else_changes_meanwhile_is_not_overwritten() {
    let Some(server) = server(|_| {}).await else {
        return;
    };
    let file = server.workspace.path().join("fake-edit.txt");
    let workspace = server.workspace.path().canonicalize().unwrap();
    let go = workspace.with_extension("go");
    let meanwhile = async {
        let changed = || server.view_holds("fake-edit.txt", "line 0");
        wait_until("the first change", changed).await;
        // It is looked at when the agent has told of it.
        tokio::time::sleep(std::time::Duration::from_millis(700)).await;
        fs::write(&file, "somebody else's\n").unwrap();
        fs::write(&go, "").unwrap();
    };
    let mut talk = conversation(&server, "fake-changes-etwt");
    let ((said, calls), ()) = tokio::join!(ask(&mut talk), meanwhile);
    fs::remove_file(&go).unwrap();
    assert_eq!(starts(&server), 2, "another run has made it anew");
    let edit = calls.iter().find(|(name, _)| name == "edit").unwrap();
    assert!(
        edit.1["oldString"]
            .as_str()
            .unwrap()
            .contains("somebody else's"),
        "{calls:?} {said:?}"
    );
    server.app.engine().drain();
    nothing_left(&server).await;
}

#[tokio::test]
async fn changes_of_a_run_that_dies_or_hangs_are_not_lost() {
    let change = |setup: &mut Setup| {
        setup.engine.budgets.idle = std::time::Duration::from_secs(3);
    };
    let Some(server) = server(change).await else {
        return;
    };
    for model in ["fake-changes-netx", "fake-changes-neth"] {
        let mut talk = conversation(&server, model);
        let (said, calls) = ask(&mut talk).await;
        assert_eq!(said.finish, "tool_calls");
        assert_eq!(names(&calls), ["write", "read", "edit"], "{model}");
        assert_eq!(said.text, "Step 2. ", "the text before is sent");
    }
    nothing_left(&server).await;
}

#[tokio::test]
async fn posted_results_bring_the_last_word() {
    let Some(server) = server(|_| {}).await else {
        return;
    };
    let mut talk = conversation(&server, "fake-changes-net");
    let (first, _) = ask(&mut talk).await;
    for id in &first.calls {
        let body = json!({"tool_call_id": id, "content": "done"});
        let headers = [("authorization", talk.key)];
        let posted = server.send("/v1/tool_results", &headers, Some(&body)).await;
        assert_eq!(posted.status, 200, "{}", posted.body);
        talk.result(id, "done");
    }
    let (last, _) = ask(&mut talk).await;
    assert_eq!(last.text, "Step 2. ");
    assert_eq!(starts(&server), 1);
    nothing_left(&server).await;
}

#[tokio::test]
async fn changes_of_an_answer_that_is_cut_off_are_told() {
    let Some(server) = server(|_| {}).await else {
        return;
    };
    let mut talk = conversation(&server, "fake-changes-etnts");
    talk.body["stop"] = "Step 1".into();
    let answer = talk.send().await.json();
    assert_eq!(answer["choices"][0]["finish_reason"], "stop", "{answer}");
    let lost = answer["x_cursor"]["lost_changes"].to_string();
    assert!(lost.contains("fake-edit.txt"), "{answer}");
    nothing_left(&server).await;
}

#[tokio::test]
async fn what_an_agent_said_before_it_died_is_not_lost() {
    let Some(server) = server(|_| {}).await else {
        return;
    };
    let stream = server
        .stream(&conversation(&server, "fake-changes-otx").body)
        .await;
    assert_eq!(stream.text, "Step 1. ");
    assert!(stream.error.is_some());
    nothing_left(&server).await;
}

#[tokio::test]
async fn more_changes_than_can_be_read_back_are_told() {
    let Some(server) = server(|_| {}).await else {
        return;
    };
    let answer = conversation(&server, "fake-changes-met")
        .send()
        .await
        .json();
    let text = answer["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(
        text.contains("may have more changes that were NOT made"),
        "{text}"
    );
    server.app.engine().drain();
    nothing_left(&server).await;
}

#[tokio::test]
async fn what_was_taken_back_is_no_change_and_what_nobody_can_make_is_said() {
    let Some(server) = server(|_| {}).await else {
        return;
    };
    let mut talk = conversation(&server, "fake-changes-teut");
    let (said, calls) = ask(&mut talk).await;
    assert_eq!((said.finish.as_str(), names(&calls)), ("stop", vec![]));
    assert_eq!(said.text, "Step 0. Step 3. ");
    let mut talk = conversation(&server, "fake-changes-tet");
    let mut tools = opencode_tools();
    let list = tools.as_array_mut().unwrap();
    list.retain(|tool| tool["function"]["name"] == "read");
    talk.body["tools"] = tools;
    let (said, calls) = ask(&mut talk).await;
    assert_eq!((said.finish.as_str(), names(&calls)), ("stop", vec![]));
    assert!(said.text.starts_with("Step 0. Step 2. "), "{}", said.text);
    assert!(said.text.contains("NOT changed"), "{}", said.text);
    nothing_left(&server).await;
}
