use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Answer, TestServer, wire::frames};

const PATH: &str = "/v1/responses";

async fn storing(count: usize) -> TestServer {
    TestServer::with(|setup| setup.stored = count).await
}

/// The response object of an answer that must not be an error, streamed or whole.
async fn ask(server: &TestServer, mut request: Value, stream: bool) -> Value {
    request["stream"] = stream.into();
    let answer = server.post_to(PATH, &request).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    if !stream {
        return answer.json();
    }
    let events = frames(&answer.body);
    let responses = events.iter().filter_map(|(_, data)| {
        let event: Value = serde_json::from_str(data).unwrap();
        event.get("response").cloned()
    });
    let responses: Vec<Value> = responses.collect();
    let echoes = |response: &Value| {
        json!([
            response["id"],
            response["store"],
            response["previous_response_id"]
        ])
    };
    let (first, last) = (&responses[0], responses.last().unwrap());
    if last["status"] != "failed" {
        assert_eq!(echoes(first), echoes(last));
    }
    last.clone()
}

fn text(response: &Value) -> String {
    let item = response["output"].as_array().unwrap().last().unwrap();
    item["content"][0]["text"].as_str().unwrap().to_owned()
}

/// The error of a request that continues an unknown response.
async fn refused(server: &TestServer, id: &Value) -> Answer {
    let request = json!({"model": "fake-ok", "input": "on", "previous_response_id": id});
    let answer = server.post_to(PATH, &request).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert_eq!(answer.json()["error"]["param"], "previous_response_id");
    assert_eq!(answer.headers["x-should-retry"], "false");
    answer
}

async fn assert_unknown(server: &TestServer, id: &Value) {
    let error = refused(server, id).await.json()["error"].clone();
    assert_eq!(
        (&error["type"], &error["code"]),
        (
            &json!("invalid_request_error"),
            &json!("previous_response_not_found")
        ),
    );
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("not found") && message.contains("`input`"),
        "{message}"
    );
}

async fn is_known(server: &TestServer, id: &Value) -> bool {
    let request =
        json!({"model": "fake-ok", "input": "on", "store": false, "previous_response_id": id});
    server.post_to(PATH, &request).await.status == 200
}

#[tokio::test]
async fn a_chain_is_the_whole_conversation() {
    let server = storing(10).await;
    let function = json!({"type": "function", "name": "echo", "parameters": {"type": "object"}});
    let custom = json!({"type": "custom", "name": "echo"});
    for (tool, stream) in [
        (&function, false),
        (&function, true),
        (&custom, false),
        (&custom, true),
    ] {
        let said = json!({"role": "user", "content": "call it"});
        let first = json!({
            "model": "fake-tool-mcp", "instructions": "Only here.", "input": [said], "tools": [tool],
        });
        let first = ask(&server, first, stream).await;
        assert_eq!(
            (&first["store"], &first["previous_response_id"]),
            (&json!(true), &json!(null))
        );
        let call = first["output"].as_array().unwrap().last().unwrap();
        let kind = call["type"].as_str().unwrap();
        assert!(kind.ends_with("_call"), "{call}");
        let result = json!({"type": format!("{kind}_output"), "call_id": call["call_id"], "output": "it rang"});

        let second = json!({
            "model": "fake-thinking", "reasoning": {"summary": "auto"}, "input": [result], "tools": [tool],
            "previous_response_id": first["id"],
        });
        let second = ask(&server, second, stream).await;
        assert_eq!(second["previous_response_id"], first["id"]);
        assert_eq!(second["output"][0]["type"], "reasoning");

        let third = |input: Value, previous: &Value| {
            json!({
                "model": "fake-echo", "instructions": "Repeat.", "input": input, "tools": [tool],
                "tool_choice": "none", "previous_response_id": previous,
            })
        };
        let chained = ask(&server, third(json!("and now?"), &second["id"]), stream).await;
        let mut items = vec![said];
        items.extend(first["output"].as_array().unwrap().clone());
        items.push(result);
        items.extend(second["output"].as_array().unwrap().clone());
        items.push(json!({"role": "user", "content": "and now?"}));
        let whole = ask(&server, third(items.into(), &json!(null)), stream).await;
        let prompt = text(&whole);
        for part in [
            "call it",
            "it rang",
            "Thought about it.",
            "and now?",
            "Repeat.",
        ] {
            assert!(prompt.contains(part), "{part}: {prompt}");
        }
        assert!(!prompt.contains("Only here."), "{prompt}");
        assert_eq!(text(&chained), prompt);
    }
}

/// As the AI SDK does: items of earlier answers are sent by their ids.
#[tokio::test]
async fn items_are_found_by_their_ids() {
    let server = storing(10).await;
    let tool = json!({"type": "function", "name": "echo", "parameters": {"type": "object"}});
    let said = json!({"role": "user", "content": "call it"});
    let request = |model: &str, input: &Value| json!({"model": model, "input": input, "tools": [tool], "reasoning": {"summary": "auto"}});
    for stream in [false, true] {
        let thought = ask(&server, request("fake-thinking", &json!([said])), stream).await;
        let called = ask(&server, request("fake-tool-mcp", &json!([said])), stream).await;
        let items = [&thought, &called].map(|answer| answer["output"].as_array().unwrap().clone());
        let items = items.concat();
        let call = items.last().unwrap();
        let result = json!({"type": "function_call_output", "call_id": call["call_id"], "output": "it rang"});
        let told = |of: fn(&Value) -> Value| {
            let mut input = vec![said.clone()];
            input.extend(items.iter().map(of));
            input.push(result.clone());
            let mut request = request("fake-echo", &input.into());
            request["tool_choice"] = "none".into();
            request
        };
        let whole = text(&ask(&server, told(Value::clone), stream).await);
        assert!(
            whole.contains("Thought about it.") && whole.contains("it rang"),
            "{whole}"
        );
        let with_type = told(|item| json!({"type": "item_reference", "id": item["id"]}));
        assert_eq!(text(&ask(&server, with_type, stream).await), whole);
        let without = told(|item| json!({"id": item["id"]}));
        assert_eq!(text(&ask(&server, without, stream).await), whole);
    }
    let lost = json!([{"type": "item_reference", "id": "msg_1"}]);
    let answer = server.post_to(PATH, &request("fake-ok", &lost)).await;
    let error = &answer.json()["error"];
    assert_eq!((answer.status, &error["param"]), (400, &json!("input[0]")));
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("msg_1") && message.contains("store: false"),
        "{message}"
    );
}

#[tokio::test]
async fn echoed_functions_are_complete() {
    let server = storing(10).await;
    let tools = json!([
        {"type": "function", "name": "a"},
        {"type": "function", "name": "b", "parameters": {"type": "object"}, "strict": true},
        {"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "c"}]},
    ]);
    let response = ask(
        &server,
        json!({"model": "fake-ok", "input": "hi", "tools": tools}),
        false,
    )
    .await;
    let echoed = &response["tools"];
    assert_eq!(
        (&echoed[0]["strict"], &echoed[0]["parameters"]),
        (&json!(false), &json!(null))
    );
    assert_eq!(echoed[1], tools[1]);
    assert_eq!(echoed[2]["tools"][0]["strict"], false);
}

#[tokio::test]
async fn two_may_continue_one() {
    let server = storing(10).await;
    let first = ask(
        &server,
        json!({"model": "fake-ok", "input": "the root"}),
        false,
    )
    .await;
    for branch in ["left", "right"] {
        let request =
            json!({"model": "fake-echo", "input": branch, "previous_response_id": first["id"]});
        let prompt = text(&ask(&server, request, true).await);
        assert!(prompt.contains("the root") && prompt.contains(branch));
        assert!(branch == "left" || !prompt.contains("left"), "{prompt}");
    }
}

#[tokio::test]
async fn without_a_store_the_setting_is_named() {
    let server = TestServer::start().await;
    let first = ask(
        &server,
        json!({"model": "fake-ok", "input": "hi", "store": true}),
        false,
    )
    .await;
    assert_eq!(first["store"], false);
    let answer = refused(&server, &first["id"]).await;
    assert!(answer.body.contains("--responses-store"), "{}", answer.body);
    let reference = json!({"type": "item_reference", "id": "msg_1"});
    let answer = server.post_to(PATH, &json!({"input": [reference]})).await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("store: false"), "{}", answer.body);
    // No wish is no error.
    for none in [json!(null), json!("")] {
        assert!(is_known(&server, &none).await);
    }
}

#[tokio::test]
async fn what_is_not_kept_is_not_found() {
    let server = storing(2).await;
    assert_unknown(&server, &json!("resp_1")).await;
    let request = |model: &str| json!({"model": model, "input": "hi"});

    let mut unkept = request("fake-ok");
    unkept["store"] = false.into();
    let unkept = ask(&server, unkept, false).await;
    assert_eq!(unkept["store"], false);
    assert_unknown(&server, &unkept["id"]).await;

    let failed = ask(&server, request("fake-truncated"), true).await;
    assert_eq!(
        (&failed["status"], &failed["store"]),
        (&json!("failed"), &json!(false))
    );
    assert_unknown(&server, &failed["id"]).await;

    // One that was cut at its length ended as the client wished.
    let mut cut = request("fake-deltas-10");
    cut["max_output_tokens"] = 1.into();
    let cut = ask(&server, cut, true).await;
    assert_eq!(
        (&cut["status"], &cut["store"]),
        (&json!("incomplete"), &json!(true))
    );
    assert!(is_known(&server, &cut["id"]).await);

    // The oldest makes room.
    for _ in 0..2 {
        assert!(ask(&server, request("fake-ok"), false).await["store"] == true);
    }
    assert_unknown(&server, &cut["id"]).await;
    let wrong = json!({"model": "fake-ok", "input": "on", "previous_response_id": 3});
    assert_eq!(
        server.post_to(PATH, &wrong).await.json()["error"]["param"],
        "previous_response_id"
    );
}

#[tokio::test]
async fn after_a_day_it_is_forgotten() {
    let server = storing(2).await;
    let first = ask(&server, json!({"model": "fake-ok", "input": "hi"}), false).await;
    assert!(is_known(&server, &first["id"]).await);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(24 * 60 * 60)).await;
    tokio::time::resume();
    assert_unknown(&server, &first["id"]).await;
}
