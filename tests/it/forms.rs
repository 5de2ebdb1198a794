//! Every form in which clients speak of tools, through the chat endpoint (rows F-01 to F-34).

use serde_json::{Value, json};

use crate::{
    support::{TestServer, call_count, user},
    tools::opencode_tools,
};

fn schema() -> Value {
    json!({"type": "object", "properties": {"filePath": {"type": "string"}}, "required": ["filePath"]})
}

/// A tool `read` with these other members.
fn read(members: Value) -> Value {
    let mut tool = json!({"name": "read", "description": "Reads a file."});
    let members = members.as_object().unwrap().clone();
    tool.as_object_mut().unwrap().extend(members);
    tool
}

#[tokio::test]
async fn tools_in_every_form_are_called() {
    let server = TestServer::start().await;
    let upper = json!({"type": "OBJECT", "properties": {"filePath": {"type": "STRING"}}});
    let plain = read(json!({"parameters": schema()}));
    let forms = [
        json!({"tools": [{"type": "function", "function": plain}]}),
        json!({"tools": [{"type": "function", "function": read(json!({"parameters": schema(), "strict": true}))}]}),
        json!({"tools": [read(json!({"type": "function", "parameters": schema(), "strict": false}))]}),
        json!({"tools": [read(json!({"input_schema": schema()}))]}),
        json!({"tools": [read(json!({"type": "custom", "input_schema": schema()}))]}),
        json!({"tools": [{"functionDeclarations": [read(json!({"parameters": upper}))]}]}),
        json!({"tools": [{"function_declarations": [read(json!({"parametersJsonSchema": schema()}))]}]}),
        json!({"tools": [plain]}),
        json!({"tools": [read(json!({"inputSchema": schema()}))]}),
        json!({"tools": [read(json!({}))]}),
        json!({"tools": [read(json!({"parameters": null}))]}),
        json!({"tools": [{"type": "function", "function": read(json!({"parameters": {}}))}]}),
        // Mixed, and twice the same.
        json!({"tools": [
            {"functionDeclarations": [{"name": "write"}]},
            {"type": "bash_20250124", "name": "bash"},
            plain,
            {"type": "function", "function": plain},
        ]}),
    ];
    for form in forms {
        let mut request = user("fake-tool-read", "go");
        request["tools"] = form["tools"].clone();
        let calls = server.stream(&request).await.calls();
        assert_eq!(calls.len(), 1, "{form}");
        assert_eq!(calls[0].0, "read", "{form}");
        assert!(calls[0].1["filePath"].is_string(), "{form}: {calls:?}");
        let message = server.whole(&request).await.message();
        assert_eq!(call_count(&message), 1, "{form}");
    }
}

#[tokio::test]
async fn legacy_functions_are_answered_in_their_own_form() {
    let server = TestServer::start().await;
    let mut request = user("fake-parallel", "go");
    request["functions"] = json!([read(json!({"parameters": schema()}))]);
    let stream = server.stream(&request).await;
    assert_eq!(stream.finish_reason.as_deref(), Some("function_call"));
    assert_eq!(stream.calls()[0].0, "read");
    let whole = server.whole(&request).await.json();
    let choice = &whole["choices"][0];
    assert_eq!(choice["finish_reason"], "function_call");
    assert_eq!(choice["message"]["function_call"]["name"], "read");
    assert!(choice["message"].get("tool_calls").is_none());
}

#[tokio::test]
async fn many_tools_and_odd_names_pass() {
    let server = TestServer::start().await;
    let names = ["my.tool/1", "Größe messen", &"n".repeat(100), "read file?"];
    let mut tools: Vec<Value> = (0..300)
        .map(|n| json!({"type": "function", "function": {"name": format!("tool_{n}")}}))
        .collect();
    tools.extend(names.map(|name| json!({"name": name, "input_schema": {"type": "object"}})));
    for name in names {
        let call = json!({"name": name, "arguments": {"x": 1}});
        server.say(&[&format!("<tool_call>{call}</tool_call>")]);
        let mut request = user("fake-play", "go");
        request["tools"] = tools.clone().into();
        let calls = server.stream(&request).await.calls();
        assert_eq!(calls, [(name.to_owned(), json!({"x": 1}))]);
    }
}

#[tokio::test]
async fn faulty_tools_are_named() {
    let server = TestServer::start().await;
    let plain = read(json!({"parameters": schema()}));
    for (tools, param) in [
        (json!([plain, read(json!({}))]), "tools[1]"),
        (
            json!([{"type": "code_execution_20250522", "name": "x"}]),
            "tools[0]",
        ),
        (
            json!([{"type": "function", "function": {}}]),
            "tools[0].function.name",
        ),
        (json!("read"), "tools"),
    ] {
        let mut request = user("fake-ok", "go");
        request["tools"] = tools;
        let answer = server.whole(&request).await;
        assert_eq!(answer.status, 400, "{}", answer.body);
        assert_eq!(answer.json()["error"]["param"], param);
    }
}

/// The prompt that a request becomes.
async fn prompt(server: &TestServer, body: Value) -> String {
    let mut request = body;
    request["model"] = "fake-echo".into();
    let message = server.whole(&request).await.message();
    message["content"].as_str().unwrap().to_owned()
}

/// A conversation whose middle is given: a call of `read` with the id `c1`, and its result.
fn conversation(middle: &[Value]) -> Value {
    let mut messages = vec![
        json!({"role": "system", "content": "Be brief."}),
        json!({"role": "user", "content": "Read a."}),
    ];
    messages.extend(middle.iter().cloned());
    json!({"messages": messages, "tools": opencode_tools()})
}

#[tokio::test]
async fn calls_and_results_in_every_form_are_one_prompt() {
    let server = TestServer::start().await;
    let arguments = r#"{"filePath":"/a"}"#;
    let input = json!({"filePath": "/a"});
    let called = |call: Value| json!({"role": "assistant", "content": null, "tool_calls": [call]});
    let openai = called(
        json!({"id": "c1", "type": "function", "function": {"name": "read", "arguments": arguments}}),
    );
    let result = json!({"role": "tool", "tool_call_id": "c1", "content": "text of a"});
    let wanted = prompt(&server, conversation(&[openai.clone(), result.clone()])).await;
    assert!(
        wanted.contains("=== TOOL_CALL (call_id: c1, name: read) "),
        "{wanted}"
    );
    assert!(
        wanted.contains("=== TOOL_RESULT (call_id: c1, name: read) "),
        "{wanted}"
    );
    assert!(
        wanted.ends_with("Go on with the user's request.\n"),
        "{wanted}"
    );

    let assistant = |part: Value| json!({"role": "assistant", "content": [part]});
    let calls = [
        openai.clone(),
        called(
            json!({"id": "c1", "type": "function", "function": {"name": "read", "arguments": input}}),
        ),
        called(json!({"id": "c1", "name": "read", "arguments": arguments})),
        assistant(json!({"type": "tool_use", "id": "c1", "name": "read", "input": input})),
        json!({"role": "assistant", "content": [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "redacted_thinking", "data": "x"},
            {"type": "tool_use", "id": "c1", "name": "read", "input": input},
        ], "reasoning_content": "hm"}),
        assistant(json!({"functionCall": {"id": "c1", "name": "read", "args": input}})),
        json!({"role": "model", "parts": [{"functionCall": {"id": "c1", "name": "read", "args": input}}]}),
    ];
    for call in calls {
        let found = prompt(&server, conversation(&[call.clone(), result.clone()])).await;
        assert_eq!(found, wanted, "{call}");
    }

    let block =
        |content: Value| json!({"type": "tool_result", "tool_use_id": "c1", "content": content});
    let text = json!([{"type": "text", "text": "text of a"}]);
    let response = |response: Value| json!({"functionResponse": {"id": "c1", "name": "read", "response": response}});
    let results = [
        json!({"role": "tool", "tool_call_id": "c1", "content": text}),
        json!({"role": "tool", "tool_call_id": "c1", "name": "read", "content": ["text of a"]}),
        json!({"role": "user", "content": [block(json!("text of a"))]}),
        json!({"role": "user", "content": [block(text)]}),
        json!({"role": "tool", "content": [block(json!("text of a"))]}),
        json!({"role": "user", "parts": [response(json!({"output": "text of a"}))]}),
        json!({"role": "function", "parts": [response(json!({"result": "text of a"}))]}),
    ];
    for result in results {
        let found = prompt(&server, conversation(&[openai.clone(), result.clone()])).await;
        assert_eq!(found, wanted, "{result}");
    }

    // The legacy form has only the name for an id.
    let legacy = [
        json!({"role": "assistant", "content": null, "function_call": {"name": "read", "arguments": arguments}}),
        json!({"role": "function", "name": "read", "content": "text of a"}),
    ];
    let gemini = [
        json!({"role": "model", "parts": [{"functionCall": {"name": "read", "args": input}}]}),
        json!({"role": "user", "parts": [{"functionResponse": {"name": "read", "response": {"output": "text of a"}}}]}),
    ];
    let found = prompt(&server, conversation(&legacy)).await;
    assert!(
        found.contains("=== TOOL_RESULT (call_id: read, name: read) "),
        "{found}"
    );
    assert_eq!(prompt(&server, conversation(&gemini)).await, found);
}

#[tokio::test]
async fn results_are_matched_by_id() {
    let server = TestServer::start().await;
    let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": "read", "arguments": "{}"}});
    let both = json!({"role": "assistant", "content": "", "tool_calls": [call("c1"), call("c2")]});
    let result =
        |id: &str, text: &str| json!({"role": "tool", "tool_call_id": id, "content": text});
    let block =
        |id: &str, text: &str| json!({"type": "tool_result", "tool_use_id": id, "content": text});

    let wanted = prompt(
        &server,
        conversation(&[both.clone(), result("c1", "one"), result("c2", "two")]),
    )
    .await;
    for middle in [
        vec![both.clone(), result("c2", "two"), result("c1", "one")],
        vec![
            both.clone(),
            json!({"role": "user", "content": [block("c2", "two"), block("c1", "one")]}),
        ],
    ] {
        assert_eq!(prompt(&server, conversation(&middle)).await, wanted);
    }

    let missing = prompt(&server, conversation(&[both.clone(), result("c1", "one")])).await;
    assert!(missing.contains("no result"), "{missing}");
    let doubled = conversation(&[
        both.clone(),
        result("c1", "old"),
        result("c1", "one"),
        result("c2", "two"),
    ]);
    assert_eq!(prompt(&server, doubled).await, wanted);
    let unknown = prompt(&server, conversation(&[result("c9", "lost")])).await;
    assert!(
        unknown.contains("=== TOOL_RESULT (call_id: c9, name: unknown) "),
        "{unknown}"
    );

    // Results first, then what the user says; and nothing of the user's where there is no text.
    let mixed = json!({"role": "user", "content": [
        {"type": "text", "text": "Go on."}, block("c1", "one"), block("c2", "two"),
    ]});
    let mixed = prompt(&server, conversation(&[both, mixed])).await;
    let at = |text: &str| mixed.find(text).unwrap();
    assert!(
        at("\none\n") < at("\ntwo\n") && at("\ntwo\n") < at("\nGo on.\n"),
        "{mixed}"
    );
    assert_eq!(mixed.matches("=== USER ").count(), 2);
    assert_eq!(wanted.matches("=== USER ").count(), 1);

    let failed = json!({"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": "c1", "is_error": true, "content": "no"},
    ]});
    let failed = prompt(&server, conversation(&[failed])).await;
    assert!(failed.contains(") (error) "), "{failed}");
}

#[tokio::test]
async fn text_in_every_form_is_one_prompt() {
    let server = TestServer::start().await;
    let body = |system: Value, text: Value| json!({"messages": [system, {"role": "user", "content": text}]});
    let rules = json!({"role": "system", "content": "Be brief."});
    let wanted = prompt(&server, body(rules.clone(), json!("hi"))).await;
    for text in [
        json!(["hi"]),
        json!([{"text": "hi"}]),
        json!([{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}]),
        json!([{"type": "input_text", "text": "hi"}]),
        json!([{"type": "output_text", "text": "hi", "annotations": [], "citations": null}]),
        json!({"type": "text", "text": "hi"}),
    ] {
        let found = prompt(&server, body(rules.clone(), text.clone())).await;
        assert_eq!(found, wanted, "{text}");
    }
    let developer =
        json!({"role": "developer", "content": [{"type": "text", "text": "Be brief."}]});
    assert_eq!(prompt(&server, body(developer, json!("hi"))).await, wanted);
    let hi = json!([{"role": "user", "content": "hi"}]);
    for body in [
        json!({"system": "Be brief.", "messages": hi}),
        json!({"system": [{"type": "text", "text": "Be brief."}], "messages": hi}),
        // Responses' form.
        json!({"instructions": "Be brief.", "input": hi}),
        json!({"instructions": "Be brief.", "input": "hi"}),
    ] {
        assert_eq!(prompt(&server, body.clone()).await, wanted, "{body}");
    }
    for empty in [json!(null), json!(""), json!([])] {
        let silent = json!({"role": "assistant", "content": empty});
        let messages = json!([rules, silent, {"role": "user", "content": "hi"}]);
        let found = prompt(&server, json!({"messages": messages})).await;
        assert_eq!(found, wanted, "{empty}");
    }
}

#[tokio::test]
async fn tool_choice_in_every_form() {
    let server = TestServer::start().await;
    let gemini = |config: Value| json!({"toolConfig": {"functionCallingConfig": config}});
    // What the prompt says of it, and whether a native read becomes a call.
    let named = "This turn must call read.";
    let required = "This turn must call at least one";
    let none = "Do not use any tool";
    let cases = [
        (json!({"tool_choice": "auto"}), "", true),
        (json!({"tool_choice": {"type": "auto"}}), "", true),
        (gemini(json!({"mode": "AUTO"})), "", true),
        (json!({"tool_choice": "none"}), none, false),
        (json!({"tool_choice": {"type": "none"}}), none, false),
        (json!({"function_call": "none"}), none, false),
        (gemini(json!({"mode": "NONE"})), none, false),
        (json!({"tool_choice": "required"}), required, true),
        (json!({"tool_choice": {"type": "any"}}), required, true),
        (gemini(json!({"mode": "ANY"})), required, true),
        (
            json!({"tool_choice": {"type": "function", "function": {"name": "read"}}}),
            named,
            true,
        ),
        (
            json!({"tool_choice": {"type": "function", "name": "read"}}),
            named,
            true,
        ),
        (
            json!({"tool_choice": {"type": "tool", "name": "read"}}),
            named,
            true,
        ),
        (json!({"function_call": {"name": "read"}}), named, true),
        (
            gemini(json!({"mode": "ANY", "allowedFunctionNames": ["read"]})),
            named,
            true,
        ),
        (
            json!({"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [
            {"type": "function", "function": {"name": "write"}}]}}}),
            "",
            false,
        ),
        (
            json!({"parallel_tool_calls": false}),
            "Call at most one tool",
            true,
        ),
        (
            json!({"tool_choice": {"type": "auto", "disable_parallel_tool_use": true}}),
            "Call at most one tool",
            true,
        ),
    ];
    for (choice, said, called) in cases {
        let mut request = user("fake-tool-read", "go");
        request["tools"] = opencode_tools();
        let members = choice.as_object().unwrap().clone();
        request.as_object_mut().unwrap().extend(members);
        let stream = server.stream(&request).await;
        assert_eq!(stream.calls().len(), usize::from(called), "{choice}");
        let told = match dialect_prompt(&request) {
            prompt if said.is_empty() => {
                !prompt.contains("This turn") && !prompt.contains("at most")
            }
            prompt => prompt.contains(said),
        };
        assert!(told, "{choice}");
    }
    for choice in [
        json!("sometimes"),
        json!({"type": "function", "name": "rm"}),
    ] {
        let mut request = user("fake-ok", "go");
        request["tools"] = opencode_tools();
        request["tool_choice"] = choice;
        assert_eq!(server.whole(&request).await.status, 400);
    }
}

/// The prompt by the same way as the server, where the agent can't be asked for it.
fn dialect_prompt(request: &Value) -> String {
    use open_cursor::dialect::{self, PathTarget, Stamp};
    let stamp = Stamp {
        id: "1".to_owned(),
        created: 1,
        owner: None,
    };
    let body = request.to_string();
    let turn = dialect::all(0)[0]
        .decode(body.as_bytes(), PathTarget::default(), stamp)
        .unwrap()
        .turn;
    open_cursor::prompt::render(&turn, None, &[])
}
