use serde_json::{Value, json};

use super::*;
use crate::turn::{ErrorKind, ToolChoice};

fn read_request(body: &Value) -> Result<Request, TurnError> {
    let stamp = Stamp {
        id: "1".to_owned(),
        created: 1,
        owner: None,
    };
    let target = PathTarget {
        model: Some("models/gemini-3-pro".to_owned()),
        streaming: Some(Streaming::Events),
    };
    request(body.to_string().as_bytes(), target, &stamp)
}

#[test]
fn a_tool_loop() {
    let request = read_request(&json!({
        "system_instruction": {"parts": [{"text": "be brief"}]},
        "contents": [
            {"role": "user", "parts": [{"text": "read a"}]},
            {"role": "model", "parts": [
                {"text": "hm", "thought": true},
                {"text": "I will."},
                {"functionCall": {"name": "read_file", "args": {"file_path": "a"}}, "thoughtSignature": "x"},
            ]},
            {"role": "user", "parts": [
                {"functionResponse": {"name": "read_file", "response": {"output": "hello"}}},
            ]},
        ],
        "tools": [{"functionDeclarations": [
            {"name": "read_file", "description": "reads", "parameters": {
                "type": "OBJECT", "properties": {"file_path": {"type": "STRING", "nullable": true}}}},
            {"name": "other"},
        ]}, {"googleSearch": {}}],
        "toolConfig": {"functionCallingConfig": {"mode": "VALIDATED", "allowedFunctionNames": ["read_file"]}},
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        "generation_config": {
            "max_output_tokens": 99, "stopSequences": ["END"], "temperature": 0,
            "thinkingConfig": {"includeThoughts": true, "thinkingBudget": 8192, "thinkingLevel": "HIGH"},
            "responseMimeType": "application/json", "responseSchema": {"type": "OBJECT"},
            "someday": 1,
        },
    }))
    .unwrap();
    assert!(request.stream);
    assert_eq!(
        request.ignored,
        [
            "generationConfig.temperature",
            "generationConfig.someday",
            "tools.googleSearch"
        ]
    );
    let turn = request.turn;
    assert_eq!(turn.model, "gemini-3-pro");
    let roles: Vec<Role> = turn.messages.iter().map(|message| message.role).collect();
    assert_eq!(
        roles,
        [Role::System, Role::User, Role::Assistant, Role::Tool]
    );
    assert_eq!(turn.messages[2].parts.len(), 2, "thoughts are left out");
    let call = turn.messages[2].tool_calls().next().unwrap();
    assert_eq!(call.arguments, r#"{"file_path":"a"}"#);
    let result = turn.messages[3].tool_results().next().unwrap();
    assert_eq!(
        (&result.call_id, result.content.as_str()),
        (&call.id, "hello")
    );
    assert_eq!(turn.tools.len(), 1);
    assert_eq!(
        turn.tools[0].schema["properties"]["file_path"]["type"],
        json!(["string", "null"])
    );
    assert_eq!(turn.tool_choice, ToolChoice::Auto);
    assert!(turn.parallel_tool_calls);
    assert_eq!(turn.reasoning_effort.as_deref(), Some("high"));
    assert_eq!(
        turn.output,
        OutputRules {
            stop: vec!["END".to_owned()],
            max_tokens: Some(99),
            format: Format::JsonSchema(json!({"type": "object"})),
        }
    );
}

#[test]
fn modes_of_calling() {
    for (config, wanted) in [
        (json!({}), ToolChoice::Auto),
        (json!({"mode": "MODE_UNSPECIFIED"}), ToolChoice::Auto),
        (json!({"mode": "NONE"}), ToolChoice::None),
        (json!({"mode": "ANY"}), ToolChoice::Required),
        (
            json!({"mode": "any", "allowed_function_names": ["a"]}),
            ToolChoice::Named(vec!["a".to_owned()]),
        ),
    ] {
        let turn = read_request(&json!({
            "contents": "hi",
            "tools": [{"function_declarations": [{"name": "a"}, {"name": "b"}]}],
            "tool_config": {"function_calling_config": config},
        }))
        .unwrap()
        .turn;
        assert_eq!(turn.tool_choice, wanted, "{config}");
    }
}

#[test]
fn names_in_arguments_stay() {
    let turn = read_request(&json!({"contents": [
        {"parts": [{"function_call": {"name": "a_b", "args": {"c_d": {"e_f": 1}}}}]},
    ]}))
    .unwrap()
    .turn;
    let call = turn.messages[0].tool_calls().next().unwrap();
    assert_eq!(
        (call.name.as_str(), call.arguments.as_str()),
        ("a_b", r#"{"c_d":{"e_f":1}}"#)
    );
}

#[test]
fn several_candidates_are_several_turns() {
    let body = json!({"contents": "hi", "generationConfig": {"candidateCount": 3}});
    let request = read_request(&body).unwrap();
    assert_eq!(request.others.len(), 2);
}

#[test]
fn tokens_are_counted_in_both_forms() {
    let contents = json!([{"role": "user", "parts": [{"text": "12345678"}]}]);
    for body in [
        json!({"contents": contents}),
        json!({"generateContentRequest": {"model": "models/m", "contents": contents}}),
    ] {
        let count = super::super::count_tokens(body.to_string().as_bytes()).unwrap();
        let count: Value = serde_json::from_slice(&count).unwrap();
        assert_eq!(count["totalTokens"], 2, "{body}");
    }
}

#[test]
fn faults_are_named_by_path() {
    let with = |key: &str, value: Value| json!({"contents": "hi", key: value});
    let config = |key: &str, value: Value| with("generationConfig", json!({ key: value }));
    let part = |part: Value| json!({"contents": [{"parts": [part]}]});
    for (body, path) in [
        (json!({}), "contents"),
        (json!({"contents": []}), "contents"),
        (json!({"contents": [3]}), "contents[0]"),
        (
            json!({"contents": [{"role": "pope", "parts": []}]}),
            "contents[0].role",
        ),
        (part(json!({"executableCode": {}})), "contents[0].parts[0]"),
        (
            part(json!({"functionCall": {"args": {}}})),
            "contents[0].parts[0].functionCall.name",
        ),
        (
            part(json!({"inlineData": {"mimeType": "image/png", "data": "!"}})),
            "contents[0].parts[0].inlineData.data",
        ),
        (
            part(json!({"fileData": {"fileUri": "gs://a"}})),
            "contents[0].parts[0].fileData.fileUri",
        ),
        (
            config("candidateCount", json!(9)),
            "generationConfig.candidateCount",
        ),
        (
            config("maxOutputTokens", json!("x")),
            "generationConfig.maxOutputTokens",
        ),
        (
            config("responseMimeType", json!("text/x.enum")),
            "generationConfig.responseMimeType",
        ),
        (
            config("responseLogprobs", json!(true)),
            "generationConfig.responseLogprobs",
        ),
        (with("generationConfig", json!(3)), "generationConfig"),
        (
            with("cachedContent", json!("cachedContents/1")),
            "cachedContent",
        ),
        (with("tools", json!([{"codeExecution": {}}])), "tools[0]"),
        (
            with(
                "toolConfig",
                json!({"functionCallingConfig": {"mode": "SOME"}}),
            ),
            "toolConfig.functionCallingConfig",
        ),
    ] {
        let Err(error) = read_request(&body) else {
            panic!("accepted: {body}");
        };
        assert_eq!(error.kind, ErrorKind::InvalidRequest);
        assert_eq!(error.param.as_deref(), Some(path), "{body}");
    }
}
