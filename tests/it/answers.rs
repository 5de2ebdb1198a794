use serde_json::{Value, json};

use crate::support::{TestServer, user};

#[tokio::test]
async fn text_streamed_and_whole_is_the_same() {
    let server = TestServer::start().await;
    for model in [
        "fake-ok",
        "fake-deltas-10",
        "fake-nopartial",
        "fake-repeat",
        "fake-utf8-split",
    ] {
        let stream = server.stream(&user(model, "hi")).await;
        let message = server.whole(&user(model, "hi")).await.message();
        assert!(!stream.text.is_empty(), "{model}");
        assert_eq!(message["content"], stream.text, "{model}");
        assert_eq!(stream.finish_reason.as_deref(), Some("stop"));
    }
}

#[tokio::test]
async fn repeated_tokens_are_kept() {
    let server = TestServer::start().await;
    let stream = server.stream(&user("fake-repeat", "sing")).await;
    assert!(stream.text.contains("la la la"), "{}", stream.text);
}

#[tokio::test]
async fn an_answer_that_is_only_in_the_result_is_delivered() {
    let server = TestServer::start().await;
    let stream = server.stream(&user("fake-result-only", "hi")).await;
    assert!(!stream.text.is_empty());
}

#[tokio::test]
async fn text_replayed_after_a_retry_is_said_once() {
    let server = TestServer::start().await;
    let stream = server.stream(&user("fake-retry", "hi")).await;
    let half = &stream.text[..stream.text.len() / 2];
    assert_eq!(stream.text.matches(half).count(), 1, "{}", stream.text);
}

#[tokio::test]
async fn thinking_is_reasoning_content() {
    let server = TestServer::start().await;
    let stream = server.stream(&user("fake-thinking", "hi")).await;
    assert!(!stream.reasoning.is_empty());
    assert!(!stream.text.contains(&stream.reasoning));
    let message = server.whole(&user("fake-thinking", "hi")).await.message();
    assert_eq!(message["reasoning_content"], stream.reasoning);
}

#[tokio::test]
async fn usage_is_sent_unless_refused_or_unknown() {
    let server = TestServer::start().await;
    let mut request = user("fake-ok", "hi");
    let usage = server.stream(&request).await.usage.unwrap();
    let details = &usage["prompt_tokens_details"];
    let number = |value: &Value| value.as_u64().unwrap();
    assert!(number(&usage["prompt_tokens"]) >= number(&details["cached_tokens"]));
    assert_eq!(
        number(&usage["total_tokens"]),
        number(&usage["prompt_tokens"]) + number(&usage["completion_tokens"])
    );
    request["stream_options"] = json!({"include_usage": false});
    assert_eq!(server.stream(&request).await.usage, None);
    assert_eq!(
        server.stream(&user("fake-no-usage", "hi")).await.usage,
        None
    );
    let whole = server.whole(&user("fake-no-usage", "hi")).await;
    assert!(whole.json().get("usage").is_none());
}

/// The prompt as the agent got it.
async fn prompt(server: &TestServer, request: &Value) -> String {
    let message = server.whole(request).await.message();
    message["content"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_prompt_reaches_the_agent_byte_for_byte() {
    let server = TestServer::start().await;
    let text = "line\n\ttabs \"quotes\" \u{1F980} \u{0} end";
    let got = prompt(&server, &user("fake-echo", text)).await;
    assert!(got.contains(text), "{got:?}");
}

#[tokio::test]
async fn a_prompt_of_five_megabytes() {
    let server = TestServer::start().await;
    let text = "0123456789abcdef".repeat(5 * 65_536);
    let got = prompt(&server, &user("fake-echo", &text)).await;
    assert!(got.contains(&text));
}

#[tokio::test]
async fn the_agent_gets_its_arguments_and_no_stray_environment() {
    let server = TestServer::start().await;
    let message = server
        .whole(&user("cursor-acp/fake-argv", "hi"))
        .await
        .message();
    let seen: Value = serde_json::from_str(message["content"].as_str().unwrap()).unwrap();
    let argv: Vec<&str> = seen["argv"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a.as_str().unwrap())
        .collect();
    for wanted in ["--print", "--stream-partial-output", "--trust"] {
        assert!(argv.contains(&wanted), "{argv:?}");
    }
    for (flag, value) in [("--output-format", "stream-json"), ("--model", "fake-argv")] {
        let at = argv.iter().position(|arg| *arg == flag).unwrap();
        assert_eq!(argv[at + 1], value);
    }
    assert!(!argv.contains(&"--force") && !argv.iter().any(|arg| arg.contains("hi there")));
    let env: Vec<&str> = seen["env"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a.as_str().unwrap())
        .collect();
    assert!(env.contains(&"PATH") && env.contains(&"HOME"), "{env:?}");
    // Cargo sets these for the test; they are none of the agent's business.
    assert!(!env.iter().any(|name| name.starts_with("CARGO")), "{env:?}");
    let cwd = server.workspace.path().canonicalize().unwrap();
    assert_eq!(seen["cwd"], cwd.to_str().unwrap());
}

#[tokio::test]
async fn answers_run_at_the_same_time() {
    let server = TestServer::start().await;
    let (one, other) = (user("fake-deltas-10", "a"), user("fake-thinking", "b"));
    let (one, other) = tokio::join!(server.stream(&one), server.stream(&other));
    assert_ne!(one.chunks[0]["id"], other.chunks[0]["id"]);
}

/// OpenCode's read tool, and a question.
fn with_read(model: &str, messages: serde_json::Value) -> serde_json::Value {
    json!({"model": model, "messages": messages, "tools": [
        {"type": "function", "function": {"name": "read", "parameters": {
            "type": "object", "required": ["filePath"],
            "properties": {"filePath": {"type": "string"}},
        }}},
    ]})
}

#[tokio::test]
async fn a_stopped_run_carries_an_estimate_that_goes_on_from_the_last_count() {
    let server = TestServer::start().await;
    let question = json!({"role": "user", "content": "read it"});
    let first = with_read("fake-tool-read", json!([question]));
    let stream = server.stream(&first).await;
    assert_eq!(stream.tool_calls.len(), 1);
    let cold = stream.usage.unwrap()["prompt_tokens"].as_u64().unwrap();
    assert_eq!(
        stream.chunks.last().unwrap()["x_cursor"],
        json!({"usage_estimated": true})
    );

    let counted = server
        .whole(&with_read("fake-ok", json!([question])))
        .await
        .json();
    assert_eq!(counted["usage"]["prompt_tokens"], 207);
    assert!(counted.get("x_cursor").is_none(), "{counted}");

    let longer = json!([question, {"role": "assistant", "content": "12345678"}, question]);
    let whole = server
        .whole(&with_read("fake-tool-read", longer))
        .await
        .json();
    assert_eq!(whole["x_cursor"]["usage_estimated"], true);
    // "12345678" and "read it" are 15 bytes, in tokens of 4.
    let added = whole["usage"]["prompt_tokens"].as_u64().unwrap() - 207;
    assert!((3..=4).contains(&added), "{whole}");
    assert_ne!(cold, 207);
}

#[tokio::test]
async fn what_the_agent_ended_without_a_count_has_none() {
    let server = TestServer::start().await;
    let whole = server.whole(&user("fake-no-usage", "hi")).await.json();
    assert!(
        whole.get("usage").is_none() && whole.get("x_cursor").is_none(),
        "{whole}"
    );
    let server = TestServer::with(|setup| {
        setup.engine.estimate_usage = open_cursor::engine::EstimateUsage::On;
    })
    .await;
    let whole = server.whole(&user("fake-no-usage", "hi")).await.json();
    assert_eq!(whole["x_cursor"]["usage_estimated"], true, "{whole}");
}
