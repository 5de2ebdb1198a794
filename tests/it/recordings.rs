//! Every recording of the real CLI, through the whole server. They are third-party data and not in
//! this repository: `OPEN_CURSOR_RECORDINGS` names their directory.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::support::{TestServer, user};

fn recordings() -> Vec<PathBuf> {
    let dir = std::env::var_os("OPEN_CURSOR_RECORDINGS").expect("OPEN_CURSOR_RECORDINGS");
    let dir = Path::new(&dir)
        .canonicalize()
        .expect("OPEN_CURSOR_RECORDINGS is a directory");
    let mut files: Vec<PathBuf> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "ndjson")
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no recordings");
    files
}

/// The `result` line of a recording.
fn result(file: &Path) -> Option<Value> {
    fs::read_to_string(file)
        .unwrap()
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|event| event["type"] == "result")
}

/// What the recording's assistant lines say, where its `result` says something else: one recording
/// was cut by its origin (its INDEX says so).
fn is_edited(file: &Path) -> bool {
    file.ends_with("2025-11-read-ls-empty-thinking.ndjson")
}

#[tokio::test]
#[ignore = "needs recordings of the real CLI: set OPEN_CURSOR_RECORDINGS to their directory"]
async fn text_is_the_results_text() {
    let server = TestServer::start().await;
    for file in recordings() {
        server.play(&file);
        let request = user("fake-play", "hi");
        let result = result(&file);
        let succeeded = result
            .as_ref()
            .is_some_and(|result| result["is_error"] == false);
        if !succeeded {
            let answer = server.stream_status(&request).await;
            assert!(
                answer.status >= 400 || answer.body.contains("data: {\"error\""),
                "{file:?}"
            );
            continue;
        }
        let result = result.unwrap();
        let stream = server.stream(&request).await;
        let message = server.whole(&request).await.message();
        assert_eq!(message["content"], stream.text, "{file:?}");
        assert_eq!(
            stream.usage.is_some(),
            result.get("usage").is_some(),
            "{file:?}"
        );
        if !is_edited(&file) {
            // This client has no tools, so it learns of changes in words.
            let (text, _) = stream
                .text
                .split_once("\n\n[open-cursor: ")
                .unwrap_or((&stream.text, ""));
            assert_eq!(text, result["result"].as_str().unwrap(), "{file:?}");
        }
    }
}

#[tokio::test]
#[ignore = "needs recordings of the real CLI: set OPEN_CURSOR_RECORDINGS to their directory"]
async fn calls_are_valid_whatever_is_offered() {
    let server = TestServer::start().await;
    let mut calls = 0;
    for file in recordings() {
        server.play(&file);
        let mut request = user("fake-play", "hi");
        request["tools"] = crate::tools::opencode_tools();
        request["stream"] = true.into();
        let answer = server.whole(&request).await;
        if answer.status == 200 {
            calls += crate::support::Stream::parse(&answer.body).tool_calls.len();
        }
    }
    assert!(calls > 20, "only {calls} calls");
}
