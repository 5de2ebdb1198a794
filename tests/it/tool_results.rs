//! Results that a client posts without their conversation (`POST /v1/tool_results`).

use serde_json::{Value, json};

use crate::{
    parked::{Talk, nothing_left, parking, parking_with, said},
    support::{Answer, TestServer, wait_until},
};

/// Posts as the client of `Talk` does.
async fn post(server: &TestServer, body: &Value) -> Answer {
    let headers = [("authorization", "Bearer me")];
    server.send("/v1/tool_results", &headers, Some(body)).await
}

async fn post_ok(server: &TestServer, body: Value) {
    let answer = post(server, &body).await;
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!({"status": "ok"}))
    );
}

/// Posts the result of one call.
async fn give(server: &TestServer, id: &str, content: &str) {
    post_ok(server, json!({"tool_call_id": id, "content": content})).await;
}

/// A run that asks for one call and then does this.
async fn after_a_call<'a>(server: &'a TestServer, steps: &str) -> (Talk<'a>, String) {
    let mut talk = Talk::new(server, "fake-mcp-script");
    talk.body["messages"][0]["content"] = format!(r#"[{{"calls": 1}}, {steps}]"#).into();
    let id = talk.ask().await.calls[0].clone();
    give(server, &id, "x").await;
    (talk, id)
}

async fn refused(server: &TestServer, body: Value, status: u16, param: &str) -> String {
    let answer = post(server, &body).await;
    let error = &answer.json()["error"];
    assert_eq!(answer.status, status, "{body}: {error}");
    assert_eq!(error["param"], param, "{body}: {error}");
    error["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_next_request_reads_the_answer_with_or_without_the_results() {
    let server = parking().await;
    for with_results in [true, false] {
        let mut talk = Talk::new(&server, "fake-mcp-three");
        for step in 0..3 {
            let asked = talk.ask().await;
            let id = asked.calls[0].clone();
            assert_eq!(asked.run, if step == 0 { "fresh" } else { "replayed" });
            let content = format!("result {step}");
            give(&server, &id, &content).await;
            if with_results {
                talk.result(&id, &content);
            }
        }
        let last = talk.ask().await;
        assert_eq!(
            (last.run.as_str(), last.finish.as_str()),
            ("replayed", "stop")
        );
        for step in 0..3 {
            let result = format!("result {step}");
            assert_eq!(last.text.matches(&result).count(), 1, "{}", last.text);
        }
    }
    assert_eq!(server.app.engine().starts(), 2);
    nothing_left(&server).await;
}

#[tokio::test]
async fn the_same_request_again_reads_it_once() {
    let server = parking().await;
    let mut talk = Talk::new(&server, "fake-mcp-one");
    talk.name = Some("one");
    let first = talk.ask().await;
    give(&server, &first.calls[0], "posted").await;
    talk.body["messages"].as_array_mut().unwrap().pop();
    let second = said(&talk.send().await);
    assert_eq!(
        (second.run.as_str(), second.finish.as_str()),
        ("replayed", "stop")
    );
    assert!(second.text.contains("posted"), "{}", second.text);
    let third = said(&talk.send().await);
    assert_eq!(
        (third.run.as_str(), third.finish.as_str()),
        ("fresh", "tool_calls")
    );
}

#[tokio::test]
async fn conversations_that_open_alike_are_not_mixed_up() {
    let server = parking().await;
    let mut talks = [
        Talk::new(&server, "fake-mcp-one"),
        Talk::new(&server, "fake-mcp-one"),
    ];
    for (at, talk) in talks.iter_mut().enumerate() {
        let id = talk.ask().await.calls[0].clone();
        give(&server, &id, &format!("of {at}")).await;
    }
    // Either could be meant by the first request.
    let again = Talk::new(&server, "fake-mcp-one");
    assert_eq!(said(&again.send().await).run, "fresh");
    for (at, talk) in talks.iter_mut().enumerate().rev() {
        let last = talk.ask().await;
        assert_eq!(last.run, "replayed");
        assert!(last.text.contains(&format!("of {at}")), "{}", last.text);
    }
}

#[tokio::test]
async fn some_results_are_posted_and_others_sent() {
    let server = parking().await;
    let mut talk = Talk::new(&server, "fake-mcp-announced");
    let first = talk.ask().await;
    post_ok(
        &server,
        json!({"results": [{"tool_call_id": first.calls[1], "content": "second"}]}),
    )
    .await;
    assert_eq!(server.app.engine().parked(), 1, "it waits for the others");
    let open = [first.calls[0].clone(), first.calls[2].clone()];
    let again = talk.ask().await;
    assert_eq!(
        (again.run.as_str(), &again.calls[..]),
        ("resumed", &open[..])
    );
    talk.result(&first.calls[0], "first");
    talk.result(&first.calls[1], "told twice");
    talk.result(&first.calls[2], "third");
    let last = talk.ask().await;
    assert_eq!(
        (last.run.as_str(), last.finish.as_str()),
        ("resumed", "stop")
    );
    for (text, times) in [("first", 1), ("second", 1), ("third", 1), ("told twice", 0)] {
        assert_eq!(last.text.matches(text).count(), times, "{}", last.text);
    }
    nothing_left(&server).await;
}

#[tokio::test]
async fn the_answer_comes_at_once_in_the_form_of_the_request() {
    let server = parking().await;
    let schema = json!({"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]});
    let cases = [
        (
            "/v1/chat/completions",
            json!({"messages": [{"role": "user", "content": "go"}],
            "tools": [{"type": "function", "function": {"name": "bash", "parameters": schema}}]}),
            "data: {\"id\":\"chatcmpl-",
        ),
        (
            "/v1/responses",
            json!({"input": "go",
            "tools": [{"type": "function", "name": "bash", "parameters": schema}]}),
            "event: response.created",
        ),
        (
            "/v1/messages",
            json!({"max_tokens": 100, "messages": [{"role": "user", "content": "go"}],
            "tools": [{"name": "bash", "input_schema": schema}]}),
            "event: message_start",
        ),
        (
            "/v1beta/models/fake-mcp-one:generateContent",
            json!({
            "contents": [{"role": "user", "parts": [{"text": "go"}]}],
            "tools": [{"functionDeclarations": [{"name": "bash", "parametersJsonSchema": schema}]}]}),
            "data: {\"candidates\"",
        ),
    ];
    for (path, mut body, beginning) in cases {
        body["model"] = "fake-mcp-one".into();
        let headers = [("authorization", "Bearer me")];
        let answer = server.send(path, &headers, Some(&body)).await;
        let mut ids = answer
            .body
            .split('"')
            .filter(|text| text.starts_with("call_"));
        let id = ids.find(|id| id.len() == 37).expect(&answer.body);
        let posted = json!({"tool_call_id": id, "content": "posted", "stream": true});
        let answer = post(&server, &posted).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        assert_eq!(answer.headers["content-type"], "text/event-stream");
        assert_eq!(answer.headers["x-open-cursor-run"], "resumed");
        assert!(
            answer.body.starts_with(beginning),
            "{path}: {}",
            answer.body
        );
        assert!(answer.body.contains("posted"), "{path}: {}", answer.body);
    }
    assert_eq!(server.app.engine().starts(), 4);
    nothing_left(&server).await;
}

#[tokio::test]
async fn what_nobody_waits_for_is_refused_and_nothing_is_given() {
    let server = parking().await;
    let mut talk = Talk::new(&server, "fake-mcp-announced");
    let first = talk.ask().await;
    let id = &first.calls[0];
    let unknown = refused(
        &server,
        json!({"tool_call_id": "call_0", "content": ""}),
        404,
        "tool_call_id",
    )
    .await;
    assert!(unknown.contains("no call `call_0` waits"), "{unknown}");
    let both =
        json!([{"tool_call_id": id, "content": ""}, {"tool_call_id": "call_0", "content": ""}]);
    refused(&server, json!({"results": both}), 404, "tool_call_id").await;
    let twice = json!([{"tool_call_id": id, "content": "a"}, {"tool_call_id": id, "content": "b"}]);
    refused(&server, json!({"results": twice}), 400, "tool_call_id").await;
    refused(
        &server,
        json!({"tool_call_id": id, "content": "", "stream": true}),
        400,
        "stream",
    )
    .await;
    refused(&server, json!({"tool_call_id": id}), 400, "content").await;
    let strangers = [("authorization", "Bearer you")];
    let body = json!({"tool_call_id": id, "content": "not yours"});
    let answer = server
        .send("/v1/tool_results", &strangers, Some(&body))
        .await;
    assert_eq!(answer.status, 404, "{}", answer.body);
    assert_eq!(server.get("/v1/tool_results").await.status, 405);
    for id in &first.calls {
        give(&server, id, "given").await;
    }
    let again = refused(
        &server,
        json!({"tool_call_id": id, "content": "again"}),
        404,
        "tool_call_id",
    )
    .await;
    assert!(again.contains("has one already"), "{again}");
    let last = talk.ask().await;
    assert_eq!(last.text.matches("given").count(), 3, "{}", last.text);
    nothing_left(&server).await;
}

#[tokio::test]
async fn words_beside_posted_results_are_not_lost() {
    let server = parking().await;
    let mut talk = Talk::new(&server, "fake-mcp-one");
    let first = talk.ask().await;
    give(&server, &first.calls[0], "posted").await;
    talk.result(&first.calls[0], "posted");
    talk.push(json!({"role": "user", "content": "and be quick"}));
    let last = talk.ask().await;
    assert_eq!(
        last.run, "fresh",
        "the run already continues and takes no more text"
    );
    nothing_left(&server).await;
}

#[tokio::test]
async fn an_answer_that_fails_unread_is_told_once() {
    let server = parking().await;
    let (mut talk, id) = after_a_call(&server, r#"{"exit": 1}"#).await;
    wait_until("the end of the run", || server.app.engine().running() == 0).await;
    talk.result(&id, "x");
    let failed = talk.send().await;
    assert_eq!(failed.status, 502, "{}", failed.body);
    let again = talk.send().await;
    assert_eq!(again.headers["x-open-cursor-run"], "fresh", "a new attempt");
}

#[tokio::test]
async fn nobody_reads_it() {
    let server = parking_with(|setup| {
        setup.engine.park_timeout = std::time::Duration::from_secs(2);
    })
    .await;
    after_a_call(&server, r#"{"wait": 60000}"#).await;
    wait_until("the run at work", || server.app.engine().running() == 1).await;
    nothing_left(&server).await;
    after_a_call(&server, r#"{"wait": 60000}"#).await;
    server.app.engine().drain();
    nothing_left(&server).await;
}
