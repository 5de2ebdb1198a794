use std::time::Duration;

use serde_json::json;

use crate::support::{TestServer, user};

#[tokio::test]
async fn a_refusal_is_a_status_streamed_or_not() {
    let server = TestServer::start().await;
    let cases = [
        ("fake-login", 401, "not_logged_in", true),
        ("fake-rate-limit", 429, "rate_limit_exceeded", false),
        ("fake-unknown-model", 404, "model_not_found", true),
        ("fake-untrusted", 500, "agent_refused", true),
        ("fake-crash", 502, "agent_failed", false),
        ("fake-early-exit", 502, "agent_failed", false),
    ];
    for (model, status, code, is_final) in cases {
        let request = user(model, "hi");
        for answer in [
            server.whole(&request).await,
            server.stream_status(&request).await,
        ] {
            assert_eq!(answer.status, status, "{model}: {}", answer.body);
            assert_eq!(answer.json()["error"]["code"], code, "{model}");
            let told = answer
                .headers
                .get("x-should-retry")
                .map(|value| value.as_bytes());
            assert_eq!(told == Some(b"false"), is_final, "{model}");
        }
    }
}

#[tokio::test]
async fn a_usage_limit_in_mid_stream() {
    let server = TestServer::start().await;
    let request = user("fake-usage-limit", "hi");
    let answer = server.whole(&request).await;
    assert_eq!(answer.status, 402, "{}", answer.body);
    assert_eq!(answer.headers["x-should-retry"], "false");
    let stream = server.stream(&request).await;
    assert!(!stream.reasoning.is_empty() && stream.text.is_empty());
    assert_eq!(stream.error.unwrap()["code"], "insufficient_quota");
}

#[tokio::test]
async fn a_rate_limit_says_when_to_come_back() {
    let server = TestServer::start().await;
    let answer = server.whole(&user("fake-rate-limit", "hi")).await;
    let seconds: u64 = answer.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(seconds > 0);
}

#[tokio::test]
async fn what_a_retry_cannot_mend_has_no_word_that_clients_retry_on() {
    let server = TestServer::start().await;
    for model in ["fake-login", "fake-usage-limit", "fake-unknown-model"] {
        let body = server.whole(&user(model, "hi")).await.body.to_lowercase();
        for word in [
            "rate limit",
            "server error",
            "server_error",
            "timeout",
            "overloaded",
            "try again later",
        ] {
            assert!(!body.contains(word), "{model}: {body}");
        }
    }
}

#[tokio::test]
async fn an_unknown_model_names_the_nearest() {
    let server = TestServer::start().await;
    let answer = server.whole(&user("fake-unknown-model", "hi")).await;
    let error = &answer.json()["error"];
    assert_eq!(error["param"], "model");
    let (name, nearest) = error["message"]
        .as_str()
        .unwrap()
        .split_once("did you mean")
        .unwrap();
    assert!(name.contains("fake-unknown-model"), "{error}");
    assert!(!nearest.contains("fake-unknown-model"), "{error}");
}

#[tokio::test]
async fn a_failure_on_stdout_with_exit_code_zero_is_a_failure() {
    let server = TestServer::start().await;
    let answer = server.whole(&user("fake-exit0-text", "hi")).await;
    assert!(answer.status >= 400, "{}", answer.body);
}

#[tokio::test]
async fn a_failure_after_text_is_an_error_event_after_the_text() {
    let server = TestServer::start().await;
    for model in ["fake-no-result", "fake-error-result", "fake-truncated"] {
        let stream = server.stream(&user(model, "hi")).await;
        assert!(!stream.text.is_empty(), "{model}");
        assert!(stream.error.is_some(), "{model}");
        assert_eq!(server.whole(&user(model, "hi")).await.status, 502);
    }
}

#[tokio::test]
async fn a_crash_shows_the_redacted_tail_of_stderr() {
    let server = TestServer::start().await;
    let error = server.whole(&user("fake-crash", "hi")).await.json()["error"].clone();
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("exit"), "{message}");
    assert!(
        !message.contains("user@example.com") && !message.contains("key_0123456789"),
        "{message}"
    );
}

#[tokio::test]
async fn silence_before_the_first_event_is_a_504() {
    let server =
        TestServer::with_budgets(Duration::from_millis(300), Duration::from_secs(60)).await;
    for answer in [
        server.whole(&user("fake-hang", "hi")).await,
        server.stream_status(&user("fake-hang", "hi")).await,
    ] {
        assert_eq!(answer.status, 504, "{}", answer.body);
        assert!(answer.body.contains("--agent-timeout"));
    }
}

#[tokio::test]
async fn silence_after_text_is_an_error_event() {
    let server =
        TestServer::with_budgets(Duration::from_secs(60), Duration::from_millis(500)).await;
    let stream = server.stream(&user("fake-hang-after-text", "hi")).await;
    assert!(!stream.text.is_empty());
    assert_eq!(stream.error.unwrap()["code"], "agent_timeout");
}

#[tokio::test]
async fn a_timeout_names_the_open_tool() {
    let server =
        TestServer::with_budgets(Duration::from_secs(60), Duration::from_millis(500)).await;
    // No tools are offered, so the call is not intercepted and the agent hangs in it.
    let answer = server.whole(&user("fake-tool-hang", "hi")).await;
    assert_eq!(answer.status, 504);
    assert!(answer.body.contains("`read`"), "{}", answer.body);
}

#[tokio::test]
async fn the_turns_of_a_stopping_server_end_properly() {
    let server = TestServer::start().await;
    let body = {
        let mut body = user("fake-hang-after-text", "hi");
        body["stream"] = json!(true);
        body
    };
    let response = server.post(&body).await;
    server.shutdown.drain.cancel();
    let body = http_body_util::BodyExt::collect(response.into_body())
        .await
        .unwrap()
        .to_bytes();
    let stream = crate::support::Stream::parse(std::str::from_utf8(&body).unwrap());
    assert_eq!(stream.error.unwrap()["code"], "shutting_down");
    server.task.await.unwrap();
}
