//! What the history keeps of turns, and that no turn depends on it.

use std::{path::Path, time::Duration};

use open_cursor::history::{Ledger, LedgerReader, LedgerRow};
use serde_json::{Value, json};

use crate::{
    support::{Served, TestServer, user, wait_until},
    tools::opencode_tools,
};

const SOON: Duration = Duration::from_secs(10);

fn rows(path: &Path) -> Vec<LedgerRow> {
    let reader = LedgerReader::open(path).unwrap();
    reader.map_or_else(Vec::new, |reader| reader.after(0, 1000).unwrap())
}

async fn server(path: &Path) -> TestServer {
    let history = Ledger::start(path.to_owned()).unwrap();
    TestServer::with(|setup| setup.history = Some(history)).await
}

/// The rows once there are so many.
async fn settled(path: &Path, count: usize) -> Vec<LedgerRow> {
    wait_until("the rows", || rows(path).len() >= count).await;
    rows(path)
}

#[tokio::test]
async fn each_turn_is_a_row_and_no_other_request() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let server = server(&path).await;
    let mut ask = user("fake-ok", "the-secret-of-the-prompt");
    ask["tools"] = opencode_tools();
    let headers = [
        ("user-agent", "opencode/9.1 (linux)"),
        ("x-request-id", "mine"),
        ("x-session-id", "the-conversation"),
    ];
    let answer = server.whole_with(&headers, &ask).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    server.stream(&user("fake-ok", "hi")).await;
    server.whole(&user("fake-crash", "hi")).await;
    server.whole(&json!({})).await;
    for path in ["/v1/models", "/health", "/nothing"] {
        server.get(path).await;
    }
    let rows = settled(&path, 4).await;
    assert_eq!(rows.len(), 4);
    let workspace = server.workspace.path().canonicalize().unwrap();
    let first = &rows[0];
    let of = |text: &Option<String>| text.clone().unwrap_or_default();
    assert_eq!(
        (first.id.as_str(), first.client.as_str()),
        ("mine", "opencode/9.1")
    );
    assert_eq!(of(&first.conversation), "the-conversation");
    assert_eq!(of(&first.cursor_model), "fake-ok");
    assert_eq!(of(&first.workspace), workspace.to_str().unwrap());
    assert_eq!(
        (first.run.as_str(), first.agent.as_str()),
        ("fresh", "print")
    );
    assert_eq!((first.status, first.outcome.as_str()), (Some(200), "stop"));
    assert_eq!(first.bytes_in, ask.to_string().len() as u64);
    assert_eq!(first.bytes_out, answer.body.len() as u64);
    assert!(first.input.is_some() && !first.estimated);
    let times = &first.times;
    let in_order = [
        times.queued,
        times.slot,
        times.spawn,
        times.first_event,
        times.first_delta,
        Some(times.total),
    ];
    assert!(in_order.iter().all(Option::is_some), "{times:?}");
    assert!(in_order.is_sorted(), "{times:?}");
    assert_eq!((times.tools, times.parked), (None, None));
    assert!(rows[1].bytes_out > 0 && rows[1].deltas > 0);
    assert_eq!(
        (of(&rows[2].error).as_str(), rows[2].status),
        ("AgentFailed", Some(502))
    );
    assert_eq!(
        (of(&rows[3].error).as_str(), rows[3].run.as_str()),
        ("InvalidRequest", "none")
    );

    for file in std::fs::read_dir(dir.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("the-secret-of-the-prompt"));
    }
}

#[tokio::test]
async fn tools_are_counted_by_name_and_outcome() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let server = server(&path).await;
    let call = r#"<tool_call>{"name": "bash", "arguments": {"command": "the-secret", "description": "d"}}</tool_call>"#;
    server.say(&[call]);
    let mut ask = user("fake-play", "Do it.");
    ask["tools"] = opencode_tools();
    let messages = ask["messages"].as_array_mut().unwrap();
    let call = |id: &str, name: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": "{}"}});
    messages.push(json!({"role": "assistant", "content": null,
        "tool_calls": [call("a", "read"), call("b", "read")]}));
    for id in ["a", "b"] {
        messages.push(json!({"role": "tool", "tool_call_id": id, "content": "ok"}));
    }
    let answer = server.whole(&ask).await;
    assert_eq!(
        answer.json()["choices"][0]["finish_reason"],
        "tool_calls",
        "{}",
        answer.body
    );
    let row = &settled(&path, 1).await[0];
    assert_eq!(
        json!(row.tools),
        json!({"bash": {"called": 1}, "read": {"returned": 2}})
    );
    assert_eq!(row.outcome, "tool_calls");
    assert!(row.times.tools.is_some());
    let metrics = server.get("/metrics").await.body;
    for line in [
        r#"open_cursor_tool_calls_total{tool="bash",outcome="called"} 1"#,
        r#"open_cursor_tool_calls_total{tool="read",outcome="returned"} 2"#,
        r#"open_cursor_phase_seconds_count{phase="tools"} 1"#,
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "no {line} in\n{metrics}"
        );
    }
}

#[tokio::test]
async fn a_resumed_turn_says_how_long_its_run_waited() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let history = Ledger::start(path.clone()).unwrap();
    let server = crate::parked::parking_with(|setup| setup.history = Some(history)).await;
    let mut ask = user("fake-mcp-three", "go");
    ask["tools"] = opencode_tools();
    let message = server.whole(&ask).await.message();
    tokio::time::sleep(Duration::from_millis(60)).await;
    let messages = ask["messages"].as_array_mut().unwrap();
    messages.push(message.clone());
    for call in message["tool_calls"].as_array().unwrap() {
        messages.push(json!({"role": "tool", "tool_call_id": call["id"], "content": "done"}));
    }
    let answer = server.whole(&ask).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let rows = settled(&path, 2).await;
    assert_eq!(
        (rows[0].run.as_str(), rows[1].run.as_str()),
        ("fresh", "resumed")
    );
    assert!(rows[0].times.spawn.is_some() && rows[0].times.parked.is_none());
    assert!(rows[1].times.spawn.is_none() && rows[1].times.parked.unwrap() >= 50);
}

#[tokio::test]
async fn a_guard_stop_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let server = server(&path).await;
    let call = json!({"name": "bash", "arguments": {"command": "ls"}});
    server.say(&[&format!("Again.\n<tool_call>{call}</tool_call>")]);
    let mut ask = user("fake-play", "Do it.");
    ask["tools"] = opencode_tools();
    let arguments = call["arguments"].to_string();
    let messages = ask["messages"].as_array_mut().unwrap();
    for n in 0..6 {
        let call = json!({"id": format!("c{n}"), "type": "function",
            "function": {"name": "bash", "arguments": arguments}});
        messages.push(json!({"role": "assistant", "content": null, "tool_calls": [call]}));
        messages
            .push(json!({"role": "tool", "tool_call_id": format!("c{n}"), "content": "Error: no"}));
    }
    let answer = server.whole(&ask).await;
    assert_eq!(
        answer.json()["choices"][0]["finish_reason"],
        "stop",
        "{}",
        answer.body
    );
    assert_eq!(settled(&path, 1).await[0].outcome, "guard");
    assert_eq!(server.app.engine().guard_stops(), 1);
}

#[tokio::test]
async fn turns_go_on_without_a_database() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file/history.db");
    std::fs::write(dir.path().join("file"), "").unwrap();
    let server = server(&path).await;
    for _ in 0..3 {
        assert_eq!(server.whole(&user("fake-ok", "hi")).await.status, 200);
    }
    let history = server.app.history().unwrap();
    history.flush(SOON);
    assert!(history.problem().is_some());
}

#[tokio::test]
async fn rows_survive_a_killed_server() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().to_str().unwrap();
    let path = dir.path().join("open-cursor/history.db");
    let mut served = Served::with_env(&[], &[("XDG_DATA_HOME", home)]).await;
    let ask = async |port: u16| {
        let body = json!({"model": "replay", "messages": [{"role": "user", "content": "hi"}]});
        let addr = ([127, 0, 0, 1], port).into();
        let path = "/v1/chat/completions";
        let answer = open_cursor::http::client::send(addr, path, Some(body.to_string())).await;
        assert_eq!(answer.unwrap().status(), 200);
    };
    ask(served.port()).await;
    settled(&path, 1).await;
    served.child.kill().unwrap();
    served.child.wait().unwrap();
    let again = Served::with_env(&[], &[("XDG_DATA_HOME", home)]).await;
    ask(again.port()).await;
    let rows = settled(&path, 2).await;
    assert_eq!(rows.iter().map(|row| row.seq).collect::<Vec<_>>(), [1, 2]);
    drop(again);

    let none = Served::with_env(&["--history", "false"], &[("XDG_DATA_HOME", home)]).await;
    ask(none.port()).await;
    drop(none);
    assert_eq!(self::rows(&path).len(), 2);
}

#[tokio::test]
async fn a_stopped_server_has_written_all() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().to_str().unwrap();
    let path = dir.path().join("open-cursor/history.db");
    let mut served = Served::with_env(&[], &[("XDG_DATA_HOME", home)]).await;
    let body: Value = user("replay", "hi");
    let addr = ([127, 0, 0, 1], served.port()).into();
    let answer =
        open_cursor::http::client::send(addr, "/v1/chat/completions", Some(body.to_string())).await;
    assert_eq!(answer.unwrap().status(), 200);
    served.signal("-TERM");
    served.exit_code().await;
    assert_eq!(rows(&path).len(), 1);
}

/// Set where the test's own file system is mounted.
const SMALL_DISK: &str = "HISTORY_TEST_SMALL_DISK";

/// A file system can be full only where one can be mounted: this test starts itself again there.
#[test]
#[allow(clippy::print_stderr, reason = "a test that cannot run says so")]
fn a_full_disk_keeps_rows_for_later() {
    if let Some(disk) = std::env::var_os(SMALL_DISK) {
        return fill_and_free(Path::new(&disk));
    }
    let disk = tempfile::tempdir().unwrap();
    let mount = format!("mount -t tmpfs -o size=512k none \"${SMALL_DISK}\" && exec \"$0\" \"$@\"");
    let again = std::process::Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", &mount])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "history::a_full_disk_keeps_rows_for_later"])
        .env(SMALL_DISK, disk.path())
        .output();
    let said = match again {
        Ok(done) => format!("{done:?}"),
        Err(error) => error.to_string(),
    };
    // Some machines let nobody mount: there, it has not begun.
    let has_begun = said.contains("running ");
    assert!(!has_begun || said.contains("1 passed"), "{said}");
    if !has_begun {
        eprintln!("SKIPPED: {said}");
    }
}

fn fill_and_free(disk: &Path) {
    let path = disk.join("history.db");
    let history = Ledger::start(path.clone()).unwrap();
    let row = |id: String| LedgerRow {
        at: i64::MAX / 2,
        id,
        ..LedgerRow::default()
    };
    history.append(row("before".to_owned()));
    history.flush(SOON);
    let fill = disk.join("fill");
    let full = std::fs::write(&fill, vec![0; 1 << 20]).unwrap_err();
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    for n in 0..2000 {
        history.append(row(n.to_string()));
    }
    history.flush(SOON);
    assert!(history.problem().unwrap().contains("full"));
    // What was written can be read.
    assert_eq!(rows(&path)[0].id, "before");
    // Another server begins while the disk is full.
    let other = Ledger::start(disk.join("other/history.db")).unwrap();
    other.append(row("other".to_owned()));
    other.flush(SOON);
    assert!(other.problem().is_some());

    std::fs::remove_file(fill).unwrap();
    history.flush(SOON);
    other.flush(SOON);
    assert_eq!((history.problem(), history.lost()), (None, 0));
    assert_eq!((other.problem(), other.lost()), (None, 0));
    let reader = LedgerReader::open(&path).unwrap().unwrap();
    let ids: Vec<String> = reader
        .after(1, 9999)
        .unwrap()
        .into_iter()
        .map(|row| row.id)
        .collect();
    let expected: Vec<String> = (0..2000).map(|n| n.to_string()).collect();
    assert_eq!(ids, expected);
}
