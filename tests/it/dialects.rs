use open_cursor::http::routes;
use serde_json::{Value, json};

use crate::support::{
    TestServer,
    wire::{Messages, Responses, Wire, frames, requests},
};

async fn get(server: &TestServer, path: &str, header: (&str, &str)) -> (u16, Value) {
    let response = warp::test::request()
        .path(path)
        .header(header.0, header.1)
        .reply(&routes(server.app.clone()))
        .await;
    let body = serde_json::from_slice(response.body()).unwrap();
    (response.status().as_u16(), body)
}

const ANTHROPIC: (&str, &str) = ("anthropic-version", "2023-06-01");

#[tokio::test]
async fn refusals_have_the_same_status_and_words_everywhere() {
    let server = TestServer::start().await;
    for model in [
        "fake-login",
        "fake-rate-limit",
        "fake-crash",
        "fake-untrusted",
    ] {
        let mut told: Vec<(u16, String)> = Vec::new();
        for (wire, request) in requests(model) {
            let answer = server.ask(wire, &request).await;
            told.push((answer.status, wire.error(&answer.json())));
        }
        assert!(told.len() > 1 && told[0].0 >= 400);
        assert!(told.iter().all(|other| *other == told[0]), "{told:?}");
    }
}

#[tokio::test]
async fn a_websocket_is_refused_in_the_way_that_codex_understands() {
    let server = TestServer::start().await;
    let response = warp::test::request()
        .path("/v1/responses")
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .reply(&routes(server.app.clone()))
        .await;
    assert_eq!(response.status(), 426);
    assert_eq!(response.headers()["allow"], "POST");
}

/// Codex repeats a request five times on a status such as 401 or 402, each time with a new run.
#[tokio::test]
async fn codex_gets_failures_that_a_retry_cannot_fix_in_the_stream() {
    let server = TestServer::start().await;
    for (model, status, code) in [
        ("fake-usage-limit", 402, "insufficient_quota"),
        ("fake-login", 401, "invalid_prompt"),
        ("fake-untrusted", 500, "invalid_prompt"),
        ("fake-rate-limit", 429, ""),
    ] {
        let mut request = json!({"model": model, "input": "hi", "stream": true});
        let plain = server.post_to("/v1/responses", &request).await;
        assert_eq!(plain.status, status, "{}", plain.body);
        request["client_metadata"] = json!({"x-codex-installation-id": "1"});
        let answer = server.post_to("/v1/responses", &request).await;
        if code.is_empty() {
            assert_eq!(answer.status, status, "a retry can help: {}", answer.body);
            continue;
        }
        assert_eq!(answer.status, 200, "{}", answer.body);
        let (name, last) = *frames(&answer.body).last().unwrap();
        let last: Value = serde_json::from_str(last).unwrap();
        assert_eq!(name, Some("response.failed"));
        assert_eq!(last["response"]["error"]["code"], code);
        let message = plain.json()["error"]["message"].clone();
        assert_eq!(last["response"]["error"]["message"], message);
        request["stream"] = false.into();
        let whole = server.post_to("/v1/responses", &request).await;
        assert_eq!(whole.status, status, "{}", whole.body);
    }
}

#[tokio::test]
async fn counts_that_anthropics_types_demand_are_marked_where_they_are_ours() {
    let server = TestServer::start().await;
    for (model, is_ours) in [("fake-no-usage", true), ("fake-ok", false)] {
        let mut request = json!({"model": model, "max_tokens": 99, "messages": [{"role": "user", "content": "hi"}]});
        let whole = server.post_to("/v1/messages", &request).await.json();
        request["stream"] = true.into();
        let stream = server.post_to("/v1/messages", &request).await.body;
        let events = frames(&stream).into_iter();
        let end = events
            .map(|(_, data)| serde_json::from_str(data).unwrap())
            .find(|event: &Value| event["type"] == "message_delta");
        for told in [whole, end.unwrap()] {
            let mark = told["x_cursor"]["usage_estimated"] == true;
            assert_eq!(mark, is_ours, "{told}");
            for count in ["cache_creation_input_tokens", "cache_read_input_tokens"] {
                assert!(told["usage"].get(count).is_some(), "{told}");
            }
        }
    }
}

#[tokio::test]
async fn errors_about_the_request_have_the_dialects_shape() {
    let server = TestServer::start().await;
    for (wire, mut request) in requests("fake-ok") {
        let field = match wire.name() {
            // The model stands in the address.
            "gemini" => "contents",
            _ => "model",
        };
        request[field] = 5.into();
        let answer = server.ask(wire, &request).await;
        assert_eq!(answer.status, 400, "{}", wire.path());
        assert!(
            wire.error(&answer.json()).contains(&format!("`{field}")),
            "{}",
            answer.body
        );
        let response = warp::test::request()
            .path(&wire.send(&request).0)
            .reply(&routes(server.app.clone()))
            .await;
        assert_eq!(response.status(), 405);
        wire.error(&serde_json::from_slice(response.body()).unwrap());
    }
}

/// What an answer of the Responses dialect calls the tool `run`, offered as `tool`.
async fn called(server: &TestServer, tool: Value) -> Value {
    let request = json!({"model": "fake-tool-mcp", "input": "go", "tools": [tool]});
    let answer = server.post_to(Responses.path(), &request).await.json();
    let output = answer["output"].as_array().unwrap();
    output.last().unwrap().clone()
}

#[tokio::test]
async fn calls_have_the_form_in_which_the_tool_was_offered() {
    let server = TestServer::start().await;
    let custom = json!({"type": "custom", "name": "echo"});
    let item = called(&server, custom).await;
    assert_eq!(item["type"], "custom_tool_call");
    assert!(item["input"].is_string() && item.get("arguments").is_none());
    let member = json!({"type": "function", "name": "echo", "parameters": {"type": "object"}});
    let namespace = json!({"type": "namespace", "name": "local", "tools": [member]});
    let item = called(&server, namespace).await;
    assert_eq!(
        (&item["name"], &item["namespace"]),
        (&json!("echo"), &json!("local"))
    );
}

#[tokio::test]
async fn hosted_tools_are_refused_or_named() {
    let server = TestServer::start().await;
    for (wire, mut request) in requests("fake-ok") {
        // Legacy completions know no tools.
        if wire.path() == "/v1/completions" {
            continue;
        }
        request["tools"] = json!([{"type": "web_search"}, {"type": "file_search"}]);
        let answer = server.ask(wire, &request).await;
        assert_eq!(answer.status, 400, "{}", wire.path());
        let message = wire.error(&answer.json());
        for named in ["`tools[1]`", "`file_search`"] {
            assert!(message.contains(named), "{message}");
        }
        request["tools"].as_array_mut().unwrap().pop();
        let answer = server.ask(wire, &request).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.headers["x-open-cursor-ignored"], "tools.web_search");
        if wire.name() == "gemini" {
            // It names functions only.
            continue;
        }
        request["tool_choice"] = json!({"type": "web_search"});
        let answer = server.ask(wire, &request).await;
        assert_eq!(answer.status, 400, "{}", wire.path());
        assert!(wire.error(&answer.json()).contains("`web_search`"));
    }
}

#[tokio::test]
async fn tokens_are_counted_by_estimate() {
    let server = TestServer::start().await;
    let path = "/v1/messages/count_tokens";
    let count = |text: String| {
        let body = json!({"model": "auto", "system": "1234", "messages": [{"role": "user", "content": text}]});
        let server = &server;
        async move { server.post_to(path, &body).await.json() }
    };
    assert_eq!(
        count("12345678".to_owned()).await,
        json!({"input_tokens": 3, "estimated": true})
    );
    // Larger bodies are read elsewhere.
    assert_eq!(count("1234".repeat(100_000)).await["input_tokens"], 100_001);
    let answer = server.post_to(path, &json!({"messages": 3})).await;
    assert_eq!(answer.status, 400);
    assert!(Messages.error(&answer.json()).contains("`messages`"));
}

#[tokio::test]
async fn models_have_the_shape_that_the_client_knows() {
    let server = TestServer::start().await;
    let (status, list) = get(&server, "/v1/models", ANTHROPIC).await;
    assert_eq!((status, &list["has_more"]), (200, &json!(false)));
    let openai = server.get("/v1/models").await.json();
    let ids = |list: &Value| -> Vec<Value> {
        let data = list["data"].as_array().unwrap();
        data.iter().map(|model| model["id"].clone()).collect()
    };
    assert_eq!(ids(&list), ids(&openai));
    assert_eq!(list["first_id"], ids(&openai)[0]);
    let (_, one) = get(&server, "/v1/models/fake-ok", ANTHROPIC).await;
    assert_eq!(
        (&one["type"], &one["id"]),
        (&json!("model"), &json!("fake-ok"))
    );
    assert!(one["display_name"].is_string() && one["created_at"].is_string());
    let (status, none) = get(&server, "/v1/models/fake-okk", ANTHROPIC).await;
    assert_eq!(
        (status, &none["error"]["type"]),
        (404, &json!("not_found_error"))
    );
}

#[tokio::test]
async fn codex_is_told_the_models_in_its_own_shape() {
    let server = TestServer::start().await;
    let codex = server.get("/v1/models?client_version=0.169.0").await.json();
    assert!(codex.get("data").is_none(), "{codex}");
    let slugs: Vec<&str> = codex["models"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["slug"].as_str().unwrap())
        .collect();
    for path in ["/v1/models", "/v1/models?after=client_version"] {
        let list = server.get(path).await.json();
        for model in list["data"].as_array().unwrap() {
            assert!(slugs.contains(&model["id"].as_str().unwrap()), "{model}");
        }
    }
}

#[tokio::test]
async fn the_rest_of_the_apis_is_said_not_to_be_here() {
    let server = TestServer::start().await;
    for path in [
        "/v1/embeddings",
        "/v1/images/generations",
        "/v1/responses/resp_1",
    ] {
        let answer = server.post_to(path, &json!({"input": "hi"})).await;
        assert_eq!(
            (answer.status, &answer.json()["error"]["code"]),
            (404, &json!("not_found"))
        );
        assert!(answer.body.contains("Cursor's agent"), "{}", answer.body);
        assert_eq!(answer.headers["x-should-retry"], "false");
    }
    let answer = server.post_to("/v1/messages/batches", &json!({})).await;
    assert_eq!(
        (answer.status, &answer.json()["error"]["type"]),
        (404, &json!("not_found_error"))
    );
}
