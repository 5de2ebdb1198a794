use serde_json::{Value, json};

use crate::support::{
    TestServer, user,
    wire::{Chat, Completions, Messages, Responses, Wire, requests},
};

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
            let answer = server.ask(wire, &request).await;
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

/// The format that asks for `{"city": text}`, where each dialect has it.
fn demand(wire: &dyn Wire, request: &mut Value) {
    let schema =
        json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    let flat = json!({"type": "json_schema", "name": "place", "schema": schema});
    match wire.name() {
        "responses" => request["text"] = json!({ "format": flat }),
        "messages" => {
            request["output_config"] = json!({"format": {"type": "json_schema", "schema": schema}})
        }
        "gemini" => {
            request["generationConfig"]["responseMimeType"] = "application/json".into();
            request["generationConfig"]["responseJsonSchema"] = schema;
        }
        _ => {
            request["response_format"] =
                json!({"type": "json_schema", "json_schema": {"name": "place", "schema": schema}})
        }
    }
}

#[tokio::test]
async fn json_is_asked_for_checked_and_asked_for_again() {
    let server = TestServer::start().await;
    for model in ["fake-json-fenced", "fake-json-repaired", "fake-json-never"] {
        for (wire, mut request) in requests(model) {
            if wire.name() == "completions" {
                continue;
            }
            let free = wire.whole(&server.ask(wire, &request).await.json());
            assert_eq!(free.text, "The city is Oslo.");
            demand(wire, &mut request);
            for stream in [true, false] {
                request["stream"] = stream.into();
                let answer = server.ask(wire, &request).await;
                if model == "fake-json-never" {
                    assert_eq!(answer.status, 422, "{}", answer.body);
                    let message = wire.error(&answer.json());
                    assert!(message.contains("The city is Oslo."), "{message}");
                    assert_eq!(answer.headers["x-should-retry"], "false");
                    continue;
                }
                let said = if stream {
                    wire.stream(&answer.body)
                } else {
                    wire.whole(&answer.json())
                };
                assert_eq!(said.text, r#"{"city": "Oslo"}"#, "{model} {}", wire.name());
            }
        }
    }
    let once = server.whole(&user("fake-json-fenced", "hi")).await.json();
    let mut request = user("fake-json-repaired", "hi");
    request["response_format"] = json!({"type": "json_object"});
    let twice = server.whole(&request).await.json();
    let total = |body: &Value| body["usage"]["total_tokens"].as_u64().unwrap();
    assert_eq!(total(&twice), 2 * total(&once), "both runs are counted");
    request["response_format"] =
        json!({"type": "json_schema", "json_schema": {"schema": {"type": "thing"}}});
    let answer = server.whole(&request).await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.json()["error"]["param"],
        "response_format.json_schema.schema"
    );
}
