//! The loop guard through the whole server: what it stops ends like any other answer. Which calls it
//! stops is tested in `boundary/guard/tests.rs`.

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
    request["tools"] = opencode_tools();
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
    let rounds: Vec<Round> = (0..15)
        .map(|n| vec![edit(n), bash("make", "error: it broke")])
        .collect();
    let request = request(&server, &rounds, ("bash", json!({"command": "make"})));
    assert_eq!(outcome(&server, &request).await, ("Again.\n".to_owned(), 1));
}

#[tokio::test]
async fn a_loop_ends_with_its_reason() {
    let server = TestServer::start().await;
    let rounds = vec![vec![bash("make", "Error: command timed out")]; 3];
    let request = request(&server, &rounds, ("bash", json!({"command": "make"})));
    let (text, calls) = outcome(&server, &request).await;
    assert_eq!(calls, 0);
    assert!(text.starts_with("Again.\n"), "{text}");
    assert!(
        text.contains("\n\nStopped: `bash`") && text.contains("timeout"),
        "{text}"
    );
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
