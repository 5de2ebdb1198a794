use serde_json::{Value, json};

use crate::support::{TestServer, call_count, user};

/// OpenCode's tools today: names and argument names are its own, the texts are ours.
pub fn opencode_tools() -> Value {
    let text = json!({"type": "string"});
    let tool = |name: &str, properties: Value, required: &[&str]| {
        json!({"type": "function", "function": {
            "name": name,
            "description": format!("the {name} tool"),
            "parameters": {"type": "object", "properties": properties, "required": required, "additionalProperties": false},
        }})
    };
    let number = json!({"type": "number"});
    json!([
        tool(
            "read",
            json!({"filePath": text, "offset": number, "limit": number}),
            &["filePath"]
        ),
        tool(
            "write",
            json!({"filePath": text, "content": text}),
            &["filePath", "content"]
        ),
        tool(
            "edit",
            json!({"filePath": text, "oldString": text, "newString": text, "replaceAll": {"type": "boolean"}}),
            &["filePath", "oldString", "newString"]
        ),
        tool(
            "bash",
            json!({"command": text, "timeout": number, "workdir": text}),
            &["command"]
        ),
        tool("glob", json!({"pattern": text, "path": text}), &["pattern"]),
        tool(
            "grep",
            json!({"pattern": text, "path": text, "include": text}),
            &["pattern"]
        ),
    ])
}

fn with_tools(model: &str, tools: Value) -> Value {
    let mut request = user(model, "go");
    request["tools"] = tools;
    request
}

#[tokio::test]
async fn native_calls_become_the_clients_calls() {
    let server = TestServer::start().await;
    let cases = [
        ("fake-tool-read", "read", "filePath"),
        ("fake-tool-write", "write", "content"),
        ("fake-tool-shell", "bash", "command"),
        ("fake-tool-grep", "grep", "pattern"),
        ("fake-tool-glob", "glob", "pattern"),
    ];
    for (model, name, argument) in cases {
        let request = with_tools(model, opencode_tools());
        let stream = server.stream(&request).await;
        let calls = stream.calls();
        assert_eq!(calls.len(), 1, "{model}: {calls:?}");
        assert_eq!(calls[0].0, name, "{model}");
        assert!(calls[0].1[argument].is_string(), "{model}: {calls:?}");
        let message = server.whole(&request).await.message();
        assert_eq!(call_count(&message), 1, "{model}");
        assert_eq!(message["tool_calls"][0]["function"]["name"], name);
    }
}

#[tokio::test]
async fn a_client_with_a_list_tool_gets_ls_as_list() {
    let server = TestServer::start().await;
    let list = json!([{"type": "function", "function": {"name": "list", "parameters":
        {"type": "object", "properties": {"path": {"type": "string"}}}}}]);
    let stream = server.stream(&with_tools("fake-tool-ls", list)).await;
    assert_eq!(stream.calls()[0].0, "list");
}

#[tokio::test]
async fn an_mcp_call_gets_its_own_name_back() {
    let server = TestServer::start().await;
    let stream = server
        .stream(&with_tools(
            "fake-tool-mcp",
            json!([
                {"type": "function", "function": {"name": "echo", "parameters":
                    {"type": "object", "properties": {"text": {"type": "string"}}}}},
                {"type": "function", "function": {"name": "other"}},
            ]),
        ))
        .await;
    let calls = stream.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].0, "echo");
}

#[tokio::test]
async fn parallel_calls_come_together() {
    let server = TestServer::start().await;
    let request = with_tools("fake-parallel", opencode_tools());
    let stream = server.stream(&request).await;
    assert!(stream.calls().len() >= 2, "{:?}", stream.calls());
    let message = server.whole(&request).await.message();
    assert_eq!(call_count(&message), stream.calls().len());
    let mut one = request;
    one["parallel_tool_calls"] = json!(false);
    assert_eq!(server.stream(&one).await.calls().len(), 1);
}

#[tokio::test]
async fn tools_that_are_not_offered_are_not_called() {
    let server = TestServer::start().await;
    let other = json!([{"type": "function", "function": {"name": "frobnicate"}}]);
    for request in [
        user("fake-tool-read", "go"),
        with_tools("fake-tool-read", other),
    ] {
        let stream = server.stream(&request).await;
        assert!(stream.calls().is_empty());
        assert!(!stream.text.is_empty());
    }
    let mut none = with_tools("fake-tool-read", opencode_tools());
    none["tool_choice"] = json!("none");
    assert!(server.stream(&none).await.calls().is_empty());
}

#[tokio::test]
async fn the_turn_ends_with_the_call_though_the_agent_goes_on() {
    let server = TestServer::start().await;
    let stream = server
        .stream(&with_tools("fake-tool-hang", opencode_tools()))
        .await;
    assert_eq!(stream.finish_reason.as_deref(), Some("tool_calls"));
}

#[tokio::test]
async fn a_demanded_call_is_made_or_said_to_be_missing() {
    let server = TestServer::start().await;
    let mut request = with_tools("fake-tool-read", opencode_tools());
    request["tool_choice"] = json!("required");
    assert_eq!(server.stream(&request).await.calls()[0].0, "read");
    // This agent never calls anything: it is asked twice.
    let mut request = with_tools("fake-ok", opencode_tools());
    request["tool_choice"] = json!({"type": "function", "function": {"name": "read"}});
    for answer in [
        server.whole(&request).await,
        server.stream_status(&request).await,
    ] {
        assert!(answer.status >= 400, "{}", answer.body);
        let message = answer.json()["error"]["message"].clone();
        assert!(
            message.as_str().unwrap().contains("tool_choice"),
            "{message}"
        );
    }
}

#[tokio::test]
async fn what_runs_on_cursors_side_is_told_only_if_asked_for() {
    let server = TestServer::start().await;
    let one = |tool: &str, outcome: &str| json!({"activity": [{"tool": tool, "outcome": outcome}]});
    for (model, wanted) in [
        ("fake-ok", json!({"activity": []})),
        ("fake-completed-only", one("read", "success")),
        ("fake-completed-only-error", one("task", "error")),
        ("fake-tool-shell", one("shell", "rejected")),
    ] {
        let mut request = user(model, "go");
        let silent = server.stream(&request).await;
        assert_eq!(silent.x_cursor, None);
        assert!(
            server
                .whole(&request)
                .await
                .json()
                .get("x_cursor")
                .is_none()
        );
        request["x_cursor"] = true.into();
        let stream = server.stream(&request).await;
        assert_eq!(stream.x_cursor.as_ref(), Some(&wanted), "{model}");
        assert_eq!(stream.text, silent.text);
        let whole = server.whole(&request).await;
        whole.message();
        assert_eq!(whole.json()["x_cursor"], wanted, "{model}");
        // A chunk of its own where no usage is wanted.
        request["stream_options"] = json!({"include_usage": false});
        let stream = server.stream(&request).await;
        assert_eq!((stream.usage, stream.x_cursor), (None, Some(wanted)));
    }
    // What the client executes did not run on Cursor's side.
    let mut request = with_tools("fake-tool-read", opencode_tools());
    request["x_cursor"] = true.into();
    let stream = server.stream(&request).await;
    assert_eq!(stream.calls().len(), 1);
    assert_eq!(stream.x_cursor.unwrap()["activity"], json!([]));
    request["x_cursor"] = "yes".into();
    assert_eq!(server.whole(&request).await.status, 400);
}
