//! The loop guard through the whole server: it stops a loop and nothing else, and what it stops ends
//! like any other answer.

use serde_json::{Value, json};

use crate::{
    support::{TestServer, call_count, user},
    tools::opencode_tools,
};

/// One round of a conversation: the calls, as (tool, arguments, result).
type Round = Vec<(&'static str, Value, String)>;

fn bash(command: &str, result: &str) -> (&'static str, Value, String) {
    ("bash", json!({ "command": command }), result.to_owned())
}

fn read(path: &str, result: &str) -> (&'static str, Value, String) {
    ("read", json!({ "filePath": path }), result.to_owned())
}

fn edit(n: usize) -> (&'static str, Value, String) {
    let args = json!({"filePath": "/a", "oldString": n.to_string(), "newString": "x"});
    ("edit", args, "Edit applied successfully.".to_owned())
}

/// A conversation of these rounds, after which the agent makes one more call.
fn request(server: &TestServer, rounds: &[Round], next: (&str, Value)) -> Value {
    let (name, arguments) = next;
    let call = json!({"name": name, "arguments": arguments});
    server.say(&[&format!("Again.\n<tool_call>{call}</tool_call>")]);
    let mut request = user("fake-play", "Do it.");
    let mut tools = opencode_tools();
    for name in ["lookup", "todoread"] {
        let tool = json!({"type": "function", "function": {"name": name, "parameters":
            {"type": "object", "properties": {"key": {"type": "string"}}}}});
        tools.as_array_mut().unwrap().push(tool);
    }
    request["tools"] = tools;
    let messages = request["messages"].as_array_mut().unwrap();
    for (n, round) in rounds.iter().enumerate() {
        let calls: Vec<Value> = round
            .iter()
            .enumerate()
            .map(|(m, (name, arguments, _))| {
                json!({"id": format!("c{n}_{m}"), "type": "function",
                    "function": {"name": name, "arguments": arguments.to_string()}})
            })
            .collect();
        messages.push(json!({"role": "assistant", "content": null, "tool_calls": calls}));
        messages.extend(round.iter().enumerate().map(|(m, (_, _, result))| {
            json!({"role": "tool", "tool_call_id": format!("c{n}_{m}"), "content": result})
        }));
    }
    request
}

/// The answer's text and the number of its calls, which must be the same streamed and whole.
async fn outcome(server: &TestServer, request: &Value) -> (String, usize) {
    let stream = server.stream(request).await;
    let wanted = if stream.tool_calls.is_empty() {
        "stop"
    } else {
        "tool_calls"
    };
    assert_eq!(stream.finish_reason.as_deref(), Some(wanted));
    let answer = server.whole(request).await;
    let message = answer.message();
    assert_eq!(answer.json()["choices"][0]["finish_reason"], wanted);
    assert_eq!(call_count(&message), stream.tool_calls.len());
    assert_eq!(message["content"].as_str().unwrap_or_default(), stream.text);
    (stream.text, stream.tool_calls.len())
}

#[tokio::test]
async fn ordinary_work_goes_on() {
    let server = TestServer::start().await;
    let rounds = |count: usize, round: &dyn Fn(usize) -> Round| -> Vec<Round> {
        (0..count).map(round).collect()
    };
    let make = || ("bash", json!({"command": "make"}));
    let lookup = |n: usize| {
        (
            "lookup",
            json!({"key": n.to_string()}),
            "nothing".to_owned(),
        )
    };
    let broken = "error: it broke";
    let cases: Vec<(&str, Vec<Round>, (&str, Value))> = vec![
        (
            "fifty calls of an MCP tool",
            rounds(50, &|n| vec![lookup(n)]),
            ("lookup", json!({"key": "50"})),
        ),
        (
            "forty reads of files that speak of errors",
            rounds(40, &|n| {
                vec![read(&format!("/{n}"), "error: invalid, failed, not found")]
            }),
            ("read", json!({"filePath": "/40"})),
        ),
        (
            "fifteen failing builds, an edit after each",
            rounds(30, &|n| {
                vec![if n % 2 == 0 {
                    bash("make", broken)
                } else {
                    edit(n)
                }]
            }),
            make(),
        ),
        (
            "failing builds, an edit beside each",
            rounds(15, &|n| vec![edit(n), bash("make", broken)]),
            make(),
        ),
        (
            "twenty passing test runs, an edit after each",
            rounds(40, &|n| {
                vec![if n % 2 == 0 {
                    bash("make test", "ok")
                } else {
                    edit(n)
                }]
            }),
            ("bash", json!({"command": "make test"})),
        ),
        (
            "ten looks at the list",
            rounds(10, &|_| vec![("todoread", json!({}), "[ ] one".to_owned())]),
            ("todoread", json!({})),
        ),
        (
            "one command, another output each time",
            rounds(8, &|n| vec![bash("date", &n.to_string())]),
            ("bash", json!({"command": "date"})),
        ),
        (
            "different commands that all fail",
            rounds(12, &|n| vec![bash(&format!("try {n}"), broken)]),
            ("bash", json!({"command": "try 12"})),
        ),
        (
            "two files in turn",
            rounds(12, &|n| vec![read(&format!("/{}", n % 2), "text")]),
            ("read", json!({"filePath": "/0"})),
        ),
        (
            "two failures",
            rounds(2, &|_| vec![bash("make", broken)]),
            make(),
        ),
        (
            "a failure among successes",
            ["ok", broken, "ok", "ok"]
                .map(|out| vec![bash("make", out)])
                .to_vec(),
            make(),
        ),
        (
            "edits that found nothing, in different files",
            rounds(6, &|n| {
                let args = json!({"filePath": format!("/{n}"), "oldString": "a", "newString": "b"});
                vec![(
                    "edit",
                    args,
                    "Error: oldString not found in content".to_owned(),
                )]
            }),
            ("read", json!({"filePath": "/5"})),
        ),
    ];
    assert_eq!(cases.len(), 12);
    for (what, rounds, next) in cases {
        let request = request(&server, &rounds, next);
        assert_eq!(
            outcome(&server, &request).await,
            ("Again.\n".to_owned(), 1),
            "{what}"
        );
    }
}

#[tokio::test]
async fn a_loop_ends_with_its_reason() {
    let server = TestServer::start().await;
    let cases = [
        ("done", ""),
        ("error: it broke", "an error"),
        ("Error: command timed out", "timeout"),
        ("EACCES: permission denied", "no permission"),
        ("Error: ENOENT: no such file or directory", "not found"),
        (
            "The bash tool was called with invalid arguments: SchemaError",
            "invalid arguments",
        ),
    ];
    for (result, why) in cases {
        let rounds = vec![vec![bash("make", result)]; 3];
        let request = request(&server, &rounds, ("bash", json!({"command": "make"})));
        let (text, calls) = outcome(&server, &request).await;
        assert_eq!(calls, 0, "{result}");
        assert!(text.starts_with("Again.\n"), "{text}");
        assert!(
            text.contains("\n\nStopped: `bash`") && text.contains(why),
            "{text}"
        );
    }
}

#[tokio::test]
async fn the_model_is_warned_before_and_the_setting_counts() {
    let server = TestServer::with(|setup| setup.engine.boundary.max_repeat = 2).await;
    let rounds = vec![vec![bash("make", "error: it broke")]; 2];
    let mut looping = request(&server, &rounds, ("bash", json!({"command": "make"})));
    assert_eq!(outcome(&server, &looping).await.1, 0);
    looping["model"] = "fake-echo".into();
    let prompt = server.stream(&looping).await.text;
    assert!(
        prompt.contains("Calling again will change nothing"),
        "{prompt}"
    );
    looping["messages"]
        .as_array_mut()
        .unwrap()
        .push(json!({"role": "user", "content": "Once more."}));
    looping["model"] = "fake-play".into();
    assert_eq!(outcome(&server, &looping).await.1, 1);
}
