use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use open_cursor::sandbox::fence::FenceMode;
use serde_json::{Value, json};

use crate::{
    support::{Home, TestServer, user, wait_until},
    tools::opencode_tools,
};

async fn server(mode: FenceMode) -> TestServer {
    let server = TestServer::with(|setup| setup.agent.fence = mode).await;
    fs::write(
        server.workspace.path().join("fake-edit.txt"),
        "one\ntwo\nthree\n",
    )
    .unwrap();
    fs::write(server.workspace.path().join("old.txt"), "old\n").unwrap();
    fs::write(server.workspace.path().join("gone.txt"), "still here\n").unwrap();
    server
}

/// Whether this machine can give the agent a view; the reason it can't is printed.
async fn has_view(server: &TestServer) -> bool {
    let health = server.get("/health").await.json();
    let view = &health["fence"]["view"];
    if view["state"] == "enforced" {
        return true;
    }
    println!("skipped: no view here: {view}");
    false
}

fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.insert(path.clone(), Vec::new());
            found.extend(files(&path));
        } else {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

#[tokio::test]
async fn an_edit_becomes_the_clients_exact_call_and_changes_nothing() {
    let server = server(FenceMode::Auto).await;
    if !has_view(&server).await {
        return;
    }
    let before = files(server.workspace.path());
    let mut request = user("fake-edit", "go");
    request["tools"] = opencode_tools();
    let stream = server.stream(&request).await;
    let calls = stream.calls();
    assert_eq!(calls.len(), 1, "{calls:?}");
    let (name, arguments) = &calls[0];
    assert_eq!(name, "edit");
    let text = |key: &str| arguments[key].as_str().unwrap().to_owned();
    let old = "one\ntwo\nthree\n";
    assert_eq!(old.matches(&text("oldString")).count(), 1);
    assert_eq!(
        old.replace(&text("oldString"), &text("newString")),
        "one\ntwo, changed\nthree\n"
    );
    assert_eq!(files(server.workspace.path()), before);
}

#[tokio::test]
async fn a_change_that_no_call_can_carry_is_said() {
    let server = server(FenceMode::Auto).await;
    if !has_view(&server).await {
        return;
    }
    let mut request = user("fake-edit-binary", "go");
    request["tools"] = opencode_tools();
    let stream = server.stream(&request).await;
    assert_eq!(stream.calls().len(), 1);
    assert!(
        stream.text.contains("image.bin was NOT changed"),
        "{}",
        stream.text
    );
    let whole = server.whole(&request).await.json();
    let lost = whole["x_cursor"]["lost_changes"].as_array().unwrap();
    assert_eq!(lost.len(), 1, "{whole}");
    assert!(lost[0].as_str().unwrap().ends_with("image.bin"), "{whole}");
}

#[tokio::test]
async fn no_edit_vanishes_whatever_the_client_offers() {
    let server = server(FenceMode::Auto).await;
    if !has_view(&server).await {
        return;
    }
    let file = server.workspace.path().join("fake-edit.txt");
    let (before, after) = ("one\ntwo\nthree\n", "one\ntwo, changed\nthree\n");
    let only = |names: &[&str]| {
        let mut tools = opencode_tools();
        let tools = tools.as_array_mut().unwrap();
        tools.retain(|tool| names.contains(&tool["function"]["name"].as_str().unwrap()));
        json!(tools)
    };
    // A whole file, and a command that a real shell runs.
    let mut request = user("fake-edit", "go");
    request["tools"] = only(&["write", "read"]);
    let (name, arguments) = server.stream(&request).await.calls().remove(0);
    assert_eq!(
        (name.as_str(), arguments["content"].as_str()),
        ("write", Some(after))
    );
    request["tools"] = only(&["bash", "read"]);
    let (name, arguments) = server.stream(&request).await.calls().remove(0);
    assert_eq!(name, "bash");
    assert_eq!(fs::read_to_string(&file).unwrap(), before);
    let command = arguments["command"].as_str().unwrap();
    let status = std::process::Command::new("sh")
        .args(["-c", command])
        .status();
    assert!(status.unwrap().success());
    assert_eq!(fs::read_to_string(&file).unwrap(), after);
    fs::write(&file, before).unwrap();
    // Nothing that changes files, or nothing at all: the answer says so.
    for tools in [only(&["read"]), json!([])] {
        request["tools"] = tools;
        let stream = server.stream(&request).await;
        assert_eq!(stream.calls(), []);
        assert!(
            stream.text.starts_with("Edited the file."),
            "{}",
            stream.text
        );
        assert!(
            stream.text.contains("fake-edit.txt was NOT changed"),
            "{}",
            stream.text
        );
        let told = |chunk: &&Value| chunk["x_cursor"]["lost_changes"].is_array();
        assert_eq!(stream.chunks.iter().filter(told).count(), 1);
        let answer = server.whole(&request).await;
        assert_eq!(answer.headers["x-open-cursor-lost-changes"], "1");
        let lost = &answer.json()["x_cursor"]["lost_changes"];
        assert!(lost[0].as_str().unwrap().ends_with("/fake-edit.txt"));
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), before);
    let metrics = server.get("/metrics").await.body;
    assert!(
        metrics.contains("open_cursor_lost_changes_total 4\n"),
        "{metrics}"
    );
}

#[tokio::test]
async fn an_unannounced_rampage_changes_nothing() {
    let server = server(FenceMode::Auto).await;
    if !has_view(&server).await {
        return;
    }
    let before = files(server.workspace.path());
    let stream = server.stream(&user("fake-rampage", "go")).await;
    assert_eq!(stream.text, "Done what I wanted.");
    assert_eq!(files(server.workspace.path()), before);
}

#[tokio::test]
async fn without_the_fence_the_same_agent_does_change_things() {
    let server = server(FenceMode::Off).await;
    let before = files(server.workspace.path());
    server.stream(&user("fake-rampage", "go")).await;
    assert_ne!(files(server.workspace.path()), before);
    // What the agent did itself is no call for the client to repeat.
    let mut request = user("fake-edit", "go");
    request["tools"] = opencode_tools();
    let stream = server.stream(&request).await;
    assert_eq!(stream.calls(), []);
    assert_eq!(stream.text, "Edited the file.");
}

#[tokio::test]
async fn health_says_what_holds() {
    let server = TestServer::with(|setup| setup.agent.fence = FenceMode::Off).await;
    let fence = server.get("/health").await.json()["fence"].clone();
    assert_eq!(fence["mode"], "off");
    assert_eq!(fence["view"]["state"], json!("off"));
}

/// An agent that keeps a diary, and answers with its settings.
const DIARIST: &str = r#"#!/bin/sh
[ "$1" = --print ] || exit 0
echo started >> "$HOME/diary"
[ -n "$(cat)" ] || exit 1
echo asked >> "$HOME/diary"
settings=$(tr -d '"\n' < "$CURSOR_CONFIG_DIR/cli-config.json")
echo '{"type":"system","subtype":"init","session_id":"s"}'
echo '{"type":"assistant","message":{"content":[{"type":"text","text":"'"$settings"'"}]},"timestamp_ms":1}'
echo '{"type":"result","subtype":"success","is_error":false,"result":""}'
"#;

/// Whether a launcher waits for the next run in a workspace.
fn launcher_waits(workspace: &Path) -> bool {
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let mut args = processes.map(|process| {
        let args = fs::read(process.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&args).into_owned()
    });
    args.any(|args| args.contains("--waits") && args.contains(workspace.to_str().unwrap()))
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_run_that_was_started_too_soon_is_started_anew() {
    let programs = Home::new();
    programs.program("cursor-agent", DIARIST);
    let program = programs.path().join("bin/cursor-agent");
    let server = TestServer::with(|setup| {
        setup.agent.fence = FenceMode::Off;
        setup.program = program.into();
    })
    .await;
    let workspace = server.workspace.path().canonicalize().unwrap();
    let diary = server.home.path().join("diary");
    let ask = async || {
        let _ = fs::remove_file(&diary);
        let answer = server.whole(&user("auto", "hi")).await.json();
        let text = answer["choices"][0]["message"]["content"].as_str();
        let text = text.unwrap_or_else(|| panic!("{answer}")).to_owned();
        wait_until("the next launcher", || launcher_waits(&workspace)).await;
        (text, fs::read_to_string(&diary).unwrap())
    };
    let (before, lines) = ask().await;
    assert!(!before.contains("editor"), "{before}");
    assert_eq!(lines, "started\nasked\n");
    // The launcher's order is right, and the run is not started twice.
    assert_eq!(ask().await, (before, lines));
    let config = server.home.path().join("cursor");
    fs::create_dir_all(&config).unwrap();
    fs::write(
        config.join("cli-config.json"),
        r#"{"version":1,"editor":{"vimMode":true}}"#,
    )
    .unwrap();
    let (after, lines) = ask().await;
    assert!(after.contains("vimMode:true"), "{after}");
    // How far the first one came is chance, but it was asked nothing.
    assert_eq!(lines.matches("asked").count(), 1, "{lines}");
    assert!(
        (1..=2).contains(&lines.matches("started").count()),
        "{lines}"
    );
    assert_eq!(server.app.engine().starts(), 3);
}
