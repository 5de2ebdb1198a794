use open_cursor::{dialect::DIALECTS, http::routes};
use serde_json::{Value, json};

use crate::support::{
    TestServer, user,
    wire::{Chat, Completions, Messages, OTHERS, Responses, Wire},
};

/// All dialects with a request for `model` in each.
fn requests(model: &str) -> Vec<(&'static dyn Wire, Value)> {
    let chat = user(model, "hi");
    let others = OTHERS.iter().copied();
    let wires = std::iter::once(&Chat as &dyn Wire).chain(others);
    wires
        .filter_map(|wire| Some((wire, wire.request(&chat)?)))
        .collect()
}

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
            let answer = server.post_to(wire.path(), &request).await;
            told.push((answer.status, wire.error(&answer.json())));
        }
        assert!(told.len() > 1 && told[0].0 >= 400);
        assert!(told.iter().all(|other| *other == told[0]), "{told:?}");
    }
}

#[tokio::test]
async fn errors_about_the_request_have_the_dialects_shape() {
    let server = TestServer::start().await;
    for (wire, mut request) in requests("fake-ok") {
        request["model"] = 5.into();
        let answer = server.post_to(wire.path(), &request).await;
        assert_eq!(answer.status, 400, "{}", wire.path());
        assert!(
            wire.error(&answer.json()).contains("`model`"),
            "{}",
            answer.body
        );
        let response = warp::test::request()
            .path(wire.path())
            .reply(&routes(server.app.clone()))
            .await;
        assert_eq!(response.status(), 405);
        wire.error(&serde_json::from_slice(response.body()).unwrap());
    }
}

#[tokio::test]
async fn what_is_ignored_is_said() {
    let server = TestServer::start().await;
    for (wire, mut request) in requests("fake-ok") {
        let answer = server.post_to(wire.path(), &request).await;
        assert!(
            answer.headers.get("x-open-cursor-ignored").is_none(),
            "{}",
            wire.path()
        );
        request["temperature"] = json!(0.5);
        request["new_thing"] = json!(1);
        for stream in [true, false] {
            request["stream"] = stream.into();
            let answer = server.post_to(wire.path(), &request).await;
            assert_eq!(
                answer.headers["x-open-cursor-ignored"],
                "temperature, new_thing"
            );
        }
    }
}

#[tokio::test]
async fn parameters_are_listed() {
    let server = TestServer::start().await;
    let list = server.get("/v1/parameters").await.json();
    for (dialect, listed) in DIALECTS.iter().zip(list["data"].as_array().unwrap()) {
        assert_eq!(listed["path"], format!("/v1{}", dialect.path()));
        let names: Vec<&str> = dialect.parameters().iter().map(|p| p.name).collect();
        let listed = listed["parameters"].as_array().unwrap();
        assert_eq!(listed.len(), names.len());
        for (name, listed) in names.iter().zip(listed) {
            assert_eq!(listed["name"], *name);
            assert!(listed["treatment"].is_string());
        }
        let model = names.iter().filter(|name| **name == "model").count();
        assert_eq!(model, 1, "{names:?}");
    }
}

#[tokio::test]
async fn stop_sequences_and_lengths_end_the_text() {
    let server = TestServer::start().await;
    // The scenario says "w0 w1 w2 … w9 ", a word in each delta.
    let cases = [
        (Chat.path(), "stop", json!("w3"), "w0 w1 w2 ", "stop"),
        (Chat.path(), "stop", json!(["2 w3", "x"]), "w0 w1 w", "stop"),
        (Chat.path(), "max_tokens", json!(2), "w0 w1 w2", "length"),
        (
            Chat.path(),
            "max_completion_tokens",
            json!(1),
            "w0 w",
            "length",
        ),
        (Completions.path(), "stop", json!("w3"), "w0 w1 w2 ", "stop"),
        (
            Completions.path(),
            "max_tokens",
            json!(2),
            "w0 w1 w2",
            "length",
        ),
        (
            Responses.path(),
            "max_output_tokens",
            json!(2),
            "w0 w1 w2",
            "incomplete",
        ),
        (
            Messages.path(),
            "stop_sequences",
            json!(["w3"]),
            "w0 w1 w2 ",
            "stop_sequence",
        ),
        (
            Messages.path(),
            "max_tokens",
            json!(2),
            "w0 w1 w2",
            "max_tokens",
        ),
    ];
    for (path, parameter, value, text, finish) in cases {
        let wires = requests("fake-deltas-10");
        let (wire, mut request) = wires
            .into_iter()
            .find(|(wire, _)| wire.path() == path)
            .unwrap();
        request[parameter] = value;
        let said = wire.whole(&server.post_to(path, &request).await.json());
        assert_eq!(
            (said.text.as_str(), said.finish.as_str()),
            (text, finish),
            "{request}"
        );
        request["stream"] = true.into();
        let streamed = wire.stream(&server.post_to(path, &request).await.body);
        assert_eq!(streamed, said, "{request}");
    }
    let mut request = Messages.request(&user("fake-deltas-10", "hi")).unwrap();
    request["stop_sequences"] = json!(["w9", "w1"]);
    let message = server.post_to(Messages.path(), &request).await.json();
    assert_eq!(message["stop_sequence"], "w1");
}

#[tokio::test]
async fn a_stop_sequence_never_cuts_a_call() {
    let server = TestServer::start().await;
    let chat = json!({
        "model": "fake-tool-shell", "stop": ["echo", "command"], "max_tokens": 10000,
        "messages": [{"role": "user", "content": "go"}],
        "tools": [{"type": "function", "function": {"name": "bash", "parameters": {
            "type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}}}],
    });
    let calls = server.stream(&chat).await.calls();
    assert_eq!(
        calls,
        [("bash".to_owned(), json!({"command": "echo fake"}))]
    );
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

/// The text of each choice and its finish, by the order of their numbers.
fn choices(body: &str, stream: bool, text: &str) -> Vec<(String, String)> {
    let objects: Vec<Value> = if stream {
        body.split_terminator("\n\n")
            .filter_map(|frame| serde_json::from_str(frame.strip_prefix("data: ")?).ok())
            .collect()
    } else {
        vec![serde_json::from_str(body).unwrap()]
    };
    let mut said = vec![(String::new(), String::new()); 3];
    for choice in objects
        .iter()
        .flat_map(|object| object["choices"].as_array().unwrap())
    {
        let (words, finish) =
            &mut said[usize::try_from(choice["index"].as_u64().unwrap()).unwrap()];
        assert!(finish.is_empty(), "something follows the finish: {choice}");
        *words += choice
            .pointer(text)
            .and_then(Value::as_str)
            .unwrap_or_default();
        *finish += choice["finish_reason"].as_str().unwrap_or_default();
    }
    said
}

#[tokio::test]
async fn several_choices_are_several_runs() {
    let server = TestServer::start().await;
    let one = server.whole(&user("fake-deltas-10", "hi")).await.json();
    let total = |body: &Value| body["usage"]["total_tokens"].as_u64().unwrap();
    for (wire, mut request) in requests("fake-deltas-10") {
        let (streamed, whole) = match wire.name() {
            "response" => ("/delta/content", "/message/content"),
            "completions" => ("/text", "/text"),
            _ => continue,
        };
        request["n"] = json!(3);
        for stream in [true, false] {
            request["stream"] = stream.into();
            let answer = server.post_to(wire.path(), &request).await;
            let said = choices(&answer.body, stream, if stream { streamed } else { whole });
            let text = one["choices"][0]["message"]["content"].as_str().unwrap();
            assert_eq!(said, vec![(text.to_owned(), "stop".to_owned()); 3]);
            if !stream {
                assert_eq!(total(&answer.json()), 3 * total(&one));
            }
        }
    }
    // One failure is the failure of all.
    let mut request = user("fake-login", "hi");
    request["n"] = json!(2);
    assert_eq!(server.whole(&request).await.status, 401);
    assert_eq!(server.stream_status(&request).await.status, 401);
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
