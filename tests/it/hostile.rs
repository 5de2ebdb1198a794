use std::time::Duration;

use http_body_util::BodyExt as _;
use open_cursor::sandbox::fence::FenceMode;
use serde_json::json;

use crate::support::{TestServer, user, wait_until};

#[tokio::test]
async fn junk_between_events_is_passed_over() {
    let server = TestServer::start().await;
    for model in [
        "fake-junk",
        "fake-bad-utf8",
        "fake-bare-assistant",
        "fake-completed-only",
        "fake-huge-line",
        "fake-late-stdin",
    ] {
        let stream = server.stream(&user(model, "hi")).await;
        assert!(!stream.text.is_empty(), "{model}");
        assert_eq!(stream.error, None, "{model}");
    }
}

#[tokio::test]
async fn a_huge_text_arrives_whole() {
    let server = TestServer::start().await;
    let stream = server.stream(&user("fake-huge-text", "hi")).await;
    assert!(stream.text.len() >= 16 << 20, "{}", stream.text.len());
}

#[tokio::test]
async fn the_turn_ends_at_the_result_and_not_at_the_end_of_the_pipe() {
    let server = TestServer::start().await;
    for model in ["fake-grandchild", "fake-hang-after-result"] {
        let request = user(model, "hi");
        let answer = tokio::time::timeout(Duration::from_secs(10), server.stream(&request));
        assert_eq!(answer.await.unwrap().error, None, "{model}");
    }
}

#[tokio::test]
async fn an_exit_without_result_is_noticed_though_a_grandchild_holds_the_pipe() {
    let server = TestServer::start().await;
    let request = user("fake-grandchild-no-result", "hi");
    let answer = tokio::time::timeout(Duration::from_secs(20), server.stream(&request));
    assert!(answer.await.unwrap().error.is_some());
}

#[tokio::test]
async fn no_process_outlives_its_turn() {
    for mode in [FenceMode::Auto, FenceMode::Off] {
        let server = TestServer::with(|setup| setup.agent.fence = mode).await;
        for model in [
            "fake-pids",
            "fake-pids-ignore-term",
            "fake-daemon",
            "fake-daemon-fail",
        ] {
            let status = server.post(&user(model, "hi")).await.status();
            let expected = if model.ends_with("fail") { 502 } else { 200 };
            assert_eq!(status, expected, "{model}");
            wait_until("the end of its processes", || server.agents().is_empty()).await;
        }
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_ends_the_agent() {
    let server = TestServer::start().await;
    let mut request = user("fake-pids-hang", "hi");
    request["stream"] = json!(true);
    let mut body = server.post(&request).await.into_body();
    let mut text = String::new();
    while !text.contains(" end") {
        let frame = body.frame().await.unwrap().unwrap();
        text += std::str::from_utf8(frame.data_ref().unwrap()).unwrap();
    }
    assert!(server.agents().len() >= 3, "{:?}", server.agents());
    drop(body);
    wait_until("the end of the agent", || server.agents().is_empty()).await;
    wait_until("the end of the turn", || server.app.engine().running() == 0).await;
}

#[tokio::test]
async fn a_client_that_hangs_up_while_the_agent_is_started_leaves_nothing() {
    let server = TestServer::start().await;
    let mut request = user("fake-hang-after-text", "hi");
    request["stream"] = json!(true);
    for step in 0..60 {
        let patience = Duration::from_micros(step * 150);
        let _ = tokio::time::timeout(patience, server.post(&request)).await;
    }
    wait_until("the end of all agents", || server.agents().is_empty()).await;
    let answer = server.stream(&user("fake-junk", "hi")).await;
    assert_eq!(answer.error, None);
}

#[tokio::test]
async fn a_stalled_client_stalls_the_agent() {
    let server = TestServer::start().await;
    let mut request = user("fake-flood", "hi");
    request["stream"] = json!(true);
    let mut response = server.post(&request).await;
    assert_eq!(response.status(), 200);
    // The agent prints without end, and the client reads nothing: every buffer fills.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(server.app.engine().running(), 1);
    // What was buffered was printed early, and what follows it is printed now. With a buffer that
    // grows, the agent would have printed all the time.
    let (mut last, mut gap) = (0_u64, 0);
    while last < 3000 {
        let frame = response.body_mut().frame().await.unwrap().unwrap();
        let text = std::str::from_utf8(frame.data_ref().unwrap()).unwrap();
        for (end, _) in text.match_indices(" ms and on") {
            let digits = text[..end].rsplit(|c: char| !c.is_ascii_digit()).next();
            let time = digits.unwrap().parse().unwrap_or(last);
            gap = gap.max(time.saturating_sub(last));
            last = last.max(time);
        }
    }
    assert!(
        gap > 1000,
        "the agent was never held up for longer than {gap} ms"
    );
    drop(response);
    wait_until("the end of the turn", || server.app.engine().running() == 0).await;
}

#[tokio::test]
async fn a_client_that_reads_no_more_loses_its_agent() {
    let server = TestServer::with(|setup| setup.http.stall = Duration::from_millis(300)).await;
    let mut request = user("fake-flood", "hi");
    request["stream"] = json!(true);
    let mut response = server.post(&request).await;
    assert_eq!(server.app.engine().running(), 1);
    // The client keeps its connection and reads nothing.
    wait_until("the end of the turn", || server.app.engine().running() == 0).await;
    let mut broken = false;
    while let Some(frame) = response.body_mut().frame().await {
        broken |= frame.is_err();
    }
    assert!(broken, "the connection was closed");
}

#[tokio::test]
async fn what_a_run_leaves_keeps_no_other_from_starting() {
    for mode in [FenceMode::Auto, FenceMode::Off] {
        let server = TestServer::with(|setup| {
            setup.agent.fence = mode;
            setup.agent.slots = 1;
        })
        .await;
        let turns = if mode == FenceMode::Off { 1 } else { 3 };
        for _ in 0..turns {
            for model in ["fake-mess", "fake-ok"] {
                let request = user(model, "hi");
                let answer = tokio::time::timeout(Duration::from_secs(60), server.stream(&request));
                assert_eq!(answer.await.unwrap().error, None, "{model}");
            }
        }
        let deep = server.workspace.path().join("d");
        assert_eq!(deep.exists(), mode == FenceMode::Off);
        // Deeper than a path can name.
        let removed = std::process::Command::new("rm")
            .arg("-rf")
            .arg(&deep)
            .status();
        assert!(removed.unwrap().success());
    }
}

#[tokio::test]
async fn an_agent_that_fills_the_disk_is_ended_and_it_is_said_why() {
    let server = TestServer::with(|setup| setup.agent.limits.disk = 8 << 20).await;
    let why = "the agent was ended: it has more than 8 MiB of files (--agent-disk)";
    let stream = server.stream(&user("fake-fill", "hi")).await;
    assert_eq!(stream.text, "I write and write.");
    assert!(stream.error.unwrap().to_string().contains(why));
    wait_until("the end of its processes", || server.agents().is_empty()).await;
    let answer = server.whole(&user("fake-fill", "hi")).await;
    assert_eq!(answer.status, 502, "{}", answer.body);
    assert!(answer.body.contains(why), "{}", answer.body);
    // Nothing of it is left for the next one.
    let stream = server.stream(&user("fake-ok", "hi")).await;
    assert_eq!(stream.error, None);
}

/// Both schemas take time in the power of the arguments' depth: without a bound they would spin for
/// hours, on the threads that everybody's turns run on.
#[tokio::test]
async fn a_schema_that_refers_to_itself_holds_up_nobody() {
    let server = TestServer::start().await;
    let three = json!([{"$ref": "#"}, {"$ref": "#"}, {"$ref": "#"}]);
    let nested = "{\"a\":".repeat(60) + "1" + &"}".repeat(60);
    for schema in [
        json!({"type": "object", "oneOf": three}),
        json!({"type": "object", "properties": {"a": {"oneOf": three}}}),
        json!({"type": "object", "properties": {"a": {"anyOf": three}}, "required": ["b"]}),
    ] {
        let tool =
            json!([{"type": "function", "function": {"name": "deep", "parameters": schema}}]);
        let mut called = user("fake-play", "go");
        called["tools"] = tool;
        let mut formatted = user("fake-play", "go");
        formatted["response_format"] =
            json!({"type": "json_schema", "json_schema": {"name": "deep", "schema": schema}});
        let call =
            format!("<tool_call>{{\"name\": \"deep\", \"arguments\": {nested}}}</tool_call>");
        for (request, said) in [(called, call.as_str()), (formatted, nested.as_str())] {
            server.say(&[said]);
            let begun = std::time::Instant::now();
            let answer = tokio::time::timeout(Duration::from_secs(20), server.whole(&request));
            let answer = answer.await.unwrap();
            assert!(begun.elapsed() < Duration::from_secs(10), "{schema}");
            let message = answer.json()["choices"][0]["message"].clone();
            let is_call = message["tool_calls"][0]["function"]["name"] == "deep";
            let is_whole = message["content"] == nested.as_str();
            let is_refused = answer.body.contains("response_format_not_met");
            assert!(is_call || is_whole || is_refused, "{}", answer.body);
        }
    }
}
