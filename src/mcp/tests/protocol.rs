use super::{client::Client, *};
use crate::turn::Attachment;

#[tokio::test]
async fn a_whole_conversation() {
    let (_endpoint, mut offer) = endpoint(WaitLimits::default()).await;
    let agent = Client::of(&offer);
    let params = json!({
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"},
    });
    let answer = agent.ask(&request(0, "initialize", params)).await;
    assert_eq!(answer[0]["result"]["protocolVersion"], "2025-06-18");
    assert_eq!(answer[0]["result"]["capabilities"], json!({"tools": {}}));

    let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let answer = agent.start(&ready).await;
    assert_eq!(answer.status(), 202);
    assert_eq!(answer.text().await, "");

    let answer = agent.ask(&request(1, "ping", json!({}))).await;
    assert_eq!(answer[0], json!({"jsonrpc": "2.0", "id": 1, "result": {}}));

    let answer = agent
        .ask(&request(2, "tools/list", json!({"cursor": "page-2"})))
        .await;
    let tools = answer[0]["result"]["tools"].as_array().unwrap();
    let names: Vec<&str> = tools
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["bash", "read", "await_result"]);
    assert_eq!(tools[0]["description"], "About bash");
    assert_eq!(tools[0]["inputSchema"], *spec("bash").schema);
    assert_eq!(next(&mut offer).await, Some(Event::Listed));

    let answer = agent.start(&call(3, "bash", json!({"text": "ls"}))).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.content_type(), "text/event-stream");
    let made = called(&mut offer).await;
    assert_eq!(made.name, "bash");
    assert_eq!(Value::from(made.arguments), json!({"text": "ls"}));
    assert!(offer.reply(made.key, &result("a.txt"), &[]));
    let messages = answer.messages().await;
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0]["id"], 3);
    assert_eq!(said(&messages[0]), ("a.txt".to_owned(), false));
    assert!(!offer.reply(made.key, &result("again"), &[]));
}

#[tokio::test]
async fn any_version_and_no_initialize() {
    let (_endpoint, mut offer) = endpoint(WaitLimits::default()).await;
    let agent = Client::of(&offer);
    for (asked, answered) in [
        (json!("2024-11-05"), "2024-11-05"),
        (json!("2025-03-26"), "2025-03-26"),
        (json!("2025-11-25"), "2025-11-25"),
        (json!("2031-01-01"), "2025-11-25"),
        (json!(7), "2025-11-25"),
    ] {
        let params = json!({"protocolVersion": asked});
        let answer = agent.ask(&request(1, "initialize", params)).await;
        assert_eq!(answer[0]["result"]["protocolVersion"], answered);
    }
    let answer = agent.ask(&request(1, "initialize", json!({}))).await;
    assert_eq!(answer[0]["result"]["protocolVersion"], "2025-11-25");
    let held = agent.start(&call(9, "read", Value::Null)).await;
    let made = called(&mut offer).await;
    assert!(made.arguments.is_empty());
    assert!(offer.reply(made.key, &result(""), &[]));
    assert_eq!(said(&held.messages().await[0]), (String::new(), false));
}

#[tokio::test]
async fn what_is_not_understood_is_an_error_of_json_rpc() {
    let (_endpoint, offer) = endpoint(WaitLimits::default()).await;
    let agent = Client::of(&offer);
    for (body, code) in [
        (json!(3), -32600),
        (json!({}), -32600),
        (json!({"id": 1, "method": 5}), -32600),
        (json!({"id": null, "method": "ping"}), -32600),
        (json!({"id": {"a": 1}, "method": "ping"}), -32600),
        (request(1, "resources/list", json!({})), -32601),
        (request(1, "tools/call", json!({})), -32602),
        (
            json!({"id": 1, "method": "tools/call", "params": [1]}),
            -32602,
        ),
    ] {
        let answer = agent.ask(&body).await;
        assert_eq!(answer[0]["error"]["code"], code, "{body}");
    }
    let answer = agent.send(agent.post(), "{\"jsonrpc\":").await;
    assert_eq!(answer.status(), 400);
    assert_eq!(answer.messages().await[0]["error"]["code"], -32700);
    // A response to a request that we never made.
    let answer = agent
        .start(&json!({"jsonrpc": "2.0", "id": 1, "result": {}}))
        .await;
    assert_eq!(answer.status(), 202);
}

#[tokio::test]
async fn wrong_calls_are_errors_that_the_model_can_read() {
    let (_endpoint, mut offer) = endpoint(WaitLimits::default()).await;
    let agent = Client::of(&offer);
    for (tool, arguments, words) in [
        ("write", json!({}), "bash, read"),
        ("", json!({}), "bash, read"),
        ("bash", json!(7), "must be an object"),
        ("bash", json!("ls"), "must be an object"),
        (
            "await_result",
            json!({"id": "call-1"}),
            "no call has this id",
        ),
        ("await_result", json!({}), "no call has this id"),
    ] {
        let (text, is_error) = said(&agent.ask(&call(1, tool, arguments)).await[0]);
        assert!(is_error && text.contains(words), "{tool}: {text}");
    }
    // Arguments as a string of JSON are what the model meant.
    let held = agent
        .start(&call(2, "bash", json!("{\"text\": \"ls\"}")))
        .await;
    let made = called(&mut offer).await;
    assert_eq!(Value::from(made.arguments), json!({"text": "ls"}));
    drop(held);
}

#[tokio::test]
async fn batches_are_answered_as_the_results_come() {
    let (_endpoint, mut offer) = endpoint(WaitLimits::default()).await;
    let agent = Client::of(&offer);
    let batch = json!([
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        request(1, "ping", json!({})),
        call(2, "bash", json!({})),
        call(3, "read", json!({})),
    ]);
    let mut answer = agent.start(&batch).await;
    let (bash, read) = (called(&mut offer).await, called(&mut offer).await);
    let mut ids = vec![client::events(&answer.piece().await.unwrap())[0]["id"].clone()];
    assert!(offer.reply(read.key, &result("r"), &[]));
    ids.push(client::events(&answer.piece().await.unwrap())[0]["id"].clone());
    assert!(offer.reply(bash.key, &result("b"), &[]));
    ids.extend(
        answer
            .messages()
            .await
            .iter()
            .map(|message| message["id"].clone()),
    );
    assert_eq!(ids, [1, 3, 2]);

    let pings = json!([request(1, "ping", json!({})), request(2, "ping", json!({}))]);
    let answer = agent.start(&pings).await;
    assert_eq!(answer.content_type(), "application/json");
    assert_eq!(answer.messages().await.len(), 2);
    assert_eq!(agent.start(&json!([])).await.status(), 202);
    let many = Value::from(vec![request(1, "ping", json!({})); 300]);
    assert_eq!(agent.start(&many).await.status(), 400);
}

#[tokio::test]
async fn an_agent_that_reads_no_streams_gets_json() {
    let (_endpoint, mut offer) = endpoint(WaitLimits::default()).await;
    let agent = Client::of(&offer);
    let builder = hyper::Request::post("/mcp")
        .header("authorization", &agent.authorization)
        .header("accept", "application/json");
    let body = call(1, "bash", json!({})).to_string();
    let (answer, ()) = tokio::join!(agent.send(builder, body), async {
        let made = called(&mut offer).await;
        assert!(offer.reply(made.key, &result("done"), &[]));
    });
    assert_eq!(answer.content_type(), "application/json");
    assert_eq!(said(&answer.messages().await[0]).0, "done");
}

#[tokio::test]
async fn files_of_a_result_are_content() {
    let (_endpoint, mut offer) = endpoint(WaitLimits::default()).await;
    let agent = Client::of(&offer);
    let file = |extension, bytes: &'static [u8]| Attachment {
        extension,
        bytes: bytes.into(),
        file: None,
    };
    let files = [file("png", b"\x89PNG"), file("txt", b"notes")];
    for (content, types) in [
        ("see", vec!["text", "image", "text"]),
        ("", vec!["image", "text"]),
    ] {
        let held = agent.start(&call(1, "read", json!({}))).await;
        let made = called(&mut offer).await;
        let failed = ToolResult {
            is_error: true,
            ..result(content)
        };
        assert!(offer.reply(made.key, &failed, &files));
        let answer = held.messages().await;
        assert_eq!(answer[0]["result"]["isError"], true);
        let content = answer[0]["result"]["content"].as_array().unwrap();
        let kinds: Vec<&str> = content
            .iter()
            .map(|it| it["type"].as_str().unwrap())
            .collect();
        assert_eq!(kinds, types);
        let image = content.iter().find(|it| it["type"] == "image").unwrap();
        assert_eq!(
            *image,
            json!({"type": "image", "data": "iVBORw==", "mimeType": "image/png"})
        );
        assert_eq!(content.last().unwrap()["text"], "notes");
    }
}

#[tokio::test]
async fn only_the_agent_of_the_offer_gets_in() {
    let (endpoint, offer) = endpoint(WaitLimits::default()).await;
    let agent = Client::of(&offer);
    let other = endpoint.offer(&[]);
    assert_ne!(Client::of(&other).authorization, agent.authorization);
    assert_eq!(agent.authorization.len(), "Bearer ".len() + 43);
    let ping = request(1, "ping", json!({})).to_string();
    let with = |name: &str, value: &str| {
        let mut builder = agent.post();
        let headers = builder.headers_mut().unwrap();
        let name: hyper::header::HeaderName = name.parse().unwrap();
        if value.is_empty() {
            headers.remove(name);
        } else {
            headers.insert(name, value.parse().unwrap());
        }
        builder
    };
    let short = &agent.authorization[..agent.authorization.len() - 1];
    let lower = agent.authorization.replace("Bearer", "bearer");
    for (name, value, status) in [
        ("authorization", "", 404),
        ("authorization", "Bearer ", 404),
        ("authorization", short, 404),
        ("authorization", &agent.authorization[7..], 404),
        ("authorization", &lower, 200),
        ("host", "localhost:1", 200),
        ("host", "[::1]:80", 200),
        ("host", "evil.example", 403),
        ("host", "localhost.evil.example", 403),
        ("origin", "http://localhost:3000", 200),
        ("origin", "https://evil.example", 403),
        ("origin", "null", 403),
    ] {
        let answer = agent.send(with(name, value), ping.clone()).await;
        assert_eq!(answer.status(), status, "{name}: {value}");
        assert!(answer.response.headers().get("www-authenticate").is_none());
    }
    for (method, path, status) in [
        ("GET", "/mcp", 405),
        ("DELETE", "/mcp", 405),
        ("POST", "/", 404),
    ] {
        let builder = agent.post().method(method).uri(path);
        let answer = agent.send(builder, "").await;
        assert_eq!(answer.status(), status, "{method} {path}");
        assert_eq!(
            answer.response.headers().contains_key("allow"),
            status == 405
        );
    }
    assert!(!format!("{endpoint:?} {offer:?}").contains(&agent.authorization[7..]));
}

#[tokio::test]
async fn names_and_schemas_are_made_acceptable_and_mapped_back() {
    let long = "x".repeat(80);
    let specs = [
        spec("mcp.server/tool"),
        spec("await_result"),
        spec("mcp_server_tool"),
        spec(&long),
        spec(&format!("{long}2")),
        spec("ä"),
        spec("_"),
        ToolSpec {
            schema: json!({
                "$schema": "s", "type": ["object", "null"], "additionalProperties": false,
                "properties": {"any": true, "none": false, "kept": {"anyOf": [{"$ref": "#/$defs/a"}]}},
                "required": "no", "$defs": {"a": {"const": 1}},
            }).into(),
            ..spec("odd")
        },
        ToolSpec {
            schema: Value::Null.into(),
            ..spec("bare")
        },
    ];
    let endpoint = Endpoint::bind(WaitLimits::default()).await.unwrap();
    let mut offer = endpoint.offer(&specs);
    let agent = Client::of(&offer);
    let names = offer.names().to_vec();
    let seen: Vec<&str> = names.iter().map(|(_, seen)| seen.as_str()).collect();
    let cut = "x".repeat(50);
    let second = format!("{}_2", "x".repeat(48));
    assert_eq!(
        seen,
        [
            "mcp_server_tool_2",
            "await_result",
            "mcp_server_tool",
            &cut,
            &second,
            "__2",
            "_",
            "odd",
            "bare",
        ]
    );
    let answer = agent.ask(&request(1, "tools/list", json!({}))).await;
    let tools = answer[0]["result"]["tools"].as_array().unwrap();
    assert_eq!(tools.last().unwrap()["name"], "await_result_2");
    assert_eq!(
        tools[7]["inputSchema"],
        json!({
            "type": "object", "$schema": "s", "additionalProperties": false,
            "properties": {"any": {}, "none": {"not": {}}, "kept": {"anyOf": [{"$ref": "#/$defs/a"}]}},
            "$defs": {"a": {"const": 1}},
        })
    );
    assert_eq!(
        tools[8]["inputSchema"],
        json!({"type": "object", "properties": {}})
    );
    assert_eq!(next(&mut offer).await, Some(Event::Listed));
    for (client, seen) in names {
        let held = agent.start(&call(1, &seen, json!({}))).await;
        assert_eq!(called(&mut offer).await.name, client);
        drop(held);
        assert!(matches!(next(&mut offer).await, Some(Event::Cancelled(_))));
    }
}
