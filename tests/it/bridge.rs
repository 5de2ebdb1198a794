//! The bridge alone, and behind the server.

use std::{collections::BTreeSet, path::Path, time::Duration};

use http_body_util::BodyExt as _;
use open_cursor::{
    agent::{
        AgentError, AgentEvent, AgentRun, CallKey, Env, RunRequest, Siblings,
        bridge::{Bridge, find_key, measure},
    },
    turn::{ToolResult, ToolSpec, Usage},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};

use crate::support::{Answer, Home, TestServer, fake_bridge, wait_until};

const LONG: Duration = Duration::from_secs(20);

/// A bridge and its home, with a key.
struct Fixture {
    bridge: Bridge,
    home: TempDir,
}

fn fixture() -> Fixture {
    with(fake_bridge(), "key_good")
}

fn with(program: &Path, key: &str) -> Fixture {
    let home = tempfile::tempdir().unwrap();
    let path = std::env::var("PATH").unwrap();
    let env: Env = [
        ("HOME", home.path().to_str().unwrap()),
        ("CURSOR_API_KEY", key),
        ("PATH", &path),
    ]
    .into_iter()
    .collect();
    Fixture {
        bridge: Bridge::new(program.to_owned(), &env, find_key(&env)),
        home,
    }
}

fn request(model: &str) -> RunRequest {
    let tool = |name: &str| ToolSpec {
        name: name.to_owned(),
        description: format!("The tool {name}"),
        schema: json!({"type": "object", "properties": {"a": {"type": "number"}}}).into(),
    };
    RunRequest {
        model: model.to_owned(),
        workspace: Some("/".into()),
        tools: vec![tool("read"), tool("write")],
        ..RunRequest::default()
    }
}

async fn start(bridge: &Bridge, request: RunRequest, prompt: &str) -> Result<AgentRun, AgentError> {
    let (run, _) = bridge.start(request, |_| prompt.to_owned()).await?;
    Ok(AgentRun::Bridge(Box::new(run)))
}

fn result(content: &str) -> ToolResult {
    ToolResult {
        call_id: String::new(),
        name: None,
        content: content.to_owned(),
        is_error: false,
    }
}

/// What a run said, and what it called.
#[derive(Debug, Default)]
struct Heard {
    text: String,
    thinking: String,
    calls: Vec<(String, Value)>,
    natives: Vec<String>,
    usage: Option<Usage>,
    result: String,
}

/// Listens to the end and answers each call with `answer`.
async fn listen(
    run: &mut AgentRun,
    answer: impl Fn(&str, &Value) -> String,
) -> (Heard, Result<(), AgentError>) {
    let mut heard = Heard::default();
    loop {
        let mut events = Vec::new();
        let step = timeout(LONG, run.next(&mut events))
            .await
            .expect("the run goes on");
        for event in events {
            match event {
                AgentEvent::TextDelta(text) => heard.text += &text,
                AgentEvent::Thinking(text) => heard.thinking += &text,
                AgentEvent::ToolStarted(call) => heard.natives.push(call.kind),
                AgentEvent::ToolRequested {
                    key,
                    name,
                    arguments,
                } => {
                    let arguments = Value::Object(*arguments);
                    run.reply(key, &result(&answer(&name, &arguments)), &[]);
                    heard.calls.push((name, arguments));
                }
                AgentEvent::Finished(result) => {
                    heard.usage = result.usage;
                    heard.result = result.text;
                    return (heard, Ok(()));
                }
                _ => {}
            }
        }
        if let Err(error) = step {
            return (heard, Err(error));
        }
    }
}

/// The text up to the next call, and its key.
async fn call(run: &mut AgentRun) -> (String, CallKey) {
    let mut text = String::new();
    loop {
        let mut events = Vec::new();
        timeout(LONG, run.next(&mut events)).await.unwrap().unwrap();
        for event in events {
            match event {
                AgentEvent::TextDelta(delta) => text += &delta,
                AgentEvent::ToolRequested { key, .. } => return (text, key),
                _ => {}
            }
        }
    }
}

async fn play(bridge: &Bridge, model: &str, prompt: &str) -> (Heard, Result<(), AgentError>) {
    match start(bridge, request(model), prompt).await {
        Ok(mut run) => listen(&mut run, |name, arguments| format!("{name} {arguments}")).await,
        Err(error) => (Heard::default(), Err(error)),
    }
}

/// All requests that the bridge had, and the names of its variables.
async fn journal(bridge: &Bridge) -> (Vec<(String, Value)>, BTreeSet<String>) {
    let (heard, end) = play(bridge, "fake-journal", "").await;
    end.unwrap();
    let mut journal: Value = serde_json::from_str(&heard.text).unwrap();
    (
        serde_json::from_value(journal["requests"].take()).unwrap(),
        serde_json::from_value(journal["environment"].take()).unwrap(),
    )
}

/// The processes that name `dir` in their command line.
fn processes(dir: &Path) -> Vec<u32> {
    let dir = dir.to_str().unwrap();
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(dir)
    })
    .collect()
}

#[tokio::test]
async fn a_run_says_thinks_and_counts() {
    let Fixture { bridge, .. } = fixture();
    let (heard, end) = play(&bridge, "fake-ok", "Hi").await;
    end.unwrap();
    assert_eq!(heard.text, "Hello from the bridge.");
    assert_eq!(heard.result, heard.text);
    assert_eq!(heard.thinking, "Hm.");
    let usage = Usage {
        input: 30,
        output: 12,
        cache_read: Some(80),
        cache_write: Some(10),
        ..Usage::default()
    };
    assert_eq!(heard.usage, Some(usage));
    bridge.close().await;
}

#[tokio::test]
async fn calls_wait_for_their_answers() {
    let Fixture { bridge, .. } = fixture();
    let prompt = "CALL read {\"a\": 1}\nCALL write {\"a\": 2}\nCALL nothing {}";
    let (heard, end) = play(&bridge, "fake-tools", prompt).await;
    end.unwrap();
    let mut calls = heard.calls;
    calls.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(
        calls,
        [
            ("read".to_owned(), json!({"a": 1})),
            ("write".to_owned(), json!({"a": 2}))
        ]
    );
    let expected = "Let me look.Results: read {\"a\":1} | write {\"a\":2} | \
                    !There is no tool nothing. The tools are: read, write.";
    assert_eq!(heard.text, expected);
    assert!(heard.natives.is_empty(), "custom tools are not native ones");
    bridge.close().await;
}

#[tokio::test]
async fn a_round_goes_on_where_it_waited() {
    let Fixture { bridge, .. } = fixture();
    let prompt = "CALL read\nCALL write {\"a\":3}";
    let mut run = start(&bridge, request("fake-rounds"), prompt)
        .await
        .unwrap();
    assert!(run.can_wait());
    let mut texts = String::new();
    for answer in ["one", "two"] {
        let (text, key) = call(&mut run).await;
        assert_ne!(
            run.siblings(),
            Siblings::Announced,
            "each announced call has come"
        );
        texts += &text;
        sleep(Duration::from_millis(300)).await;
        run.reply(key, &result(answer), &[]);
        run.reply(key, &result("an answer goes out once"), &[]);
    }
    let (heard, end) = listen(&mut run, |_, _| unreachable!()).await;
    end.unwrap();
    assert_eq!(texts + &heard.text, "one\ntwo\n");
    bridge.close().await;
}

#[tokio::test]
async fn a_call_that_comes_twice_is_one_call() {
    let Fixture { bridge, .. } = fixture();
    let (heard, end) = play(&bridge, "fake-twice", "CALL read").await;
    end.unwrap();
    assert_eq!(heard.calls.len(), 1);
    assert!(heard.text.starts_with("true {\"result\""), "{}", heard.text);
    bridge.close().await;
}

#[tokio::test]
async fn a_call_for_nobody_is_refused() {
    let Fixture { bridge, .. } = fixture();
    let (heard, end) = play(&bridge, "fake-stranger", "").await;
    end.unwrap();
    assert!(heard.calls.is_empty());
    assert!(
        heard.text.starts_with("404 {\"code\":\"not_found\""),
        "{}",
        heard.text
    );
    bridge.close().await;
}

#[tokio::test]
async fn names_that_cursor_would_leave_out_have_an_alias() {
    let server = TestServer::bridge(|_| {}).await;
    let long = format!("mcp.{}", "a_very_long_name_".repeat(5));
    let mut body = chat("fake-mcp-one", json!([user("go")]));
    body["tools"] = json!([{"type": "function", "function": {"name": long, "parameters": {
        "type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}}}]);
    let answer = server.whole(&body).await;
    let call = &answer.message()["tool_calls"][0]["function"];
    assert_eq!(call["name"], long.as_str(), "{}", answer.body);
    body["messages"] = continued(&body["messages"], &answer, &["done"]);
    let last = server.whole(&body).await;
    assert_eq!(origin(&last), "resumed");
    let text = last.message()["content"].as_str().unwrap().to_owned();
    let (name, _) = text
        .split_once(": done")
        .unwrap_or_else(|| panic!("{text}"));
    assert!(name.len() <= 42 && !name.contains('.'), "{name}");
}

#[tokio::test]
async fn a_native_tool_is_reported() {
    let Fixture { bridge, .. } = fixture();
    let (heard, end) = play(&bridge, "fake-native", "").await;
    end.unwrap();
    assert_eq!(heard.natives, ["shell"]);
    bridge.close().await;
}

#[tokio::test]
async fn what_the_bridge_is_asked() {
    let Fixture { bridge, .. } = fixture();
    let mut asked = request("gpt-9-high");
    asked.files = vec![("png", "png".into()), ("txt", "text".into())];
    let mut run = start(&bridge, asked, "Look").await.unwrap();
    listen(&mut run, |_, _| String::new()).await.1.unwrap();
    drop(run);
    let mut no_tools = request("fake-echo");
    no_tools.tools.clear();
    no_tools.workspace = None;
    let mut run = start(&bridge, no_tools, "Say").await.unwrap();
    assert!(!run.can_wait());
    assert_eq!(
        listen(&mut run, |_, _| String::new()).await.0.text,
        "Say[0 images]"
    );
    drop(run);
    // Cleaning up happens in the background.
    let mut seen = (Vec::new(), BTreeSet::new());
    let until = Instant::now() + LONG;
    while Instant::now() < until {
        seen = journal(&bridge).await;
        if seen
            .0
            .iter()
            .filter(|(method, _)| method.ends_with("/DeleteAgent"))
            .count()
            >= 2
        {
            break;
        }
    }
    let (requests, environment) = seen;
    let of = |method: &str| -> Vec<&Value> {
        let all = requests.iter().filter(|(name, _)| name.ends_with(method));
        all.map(|(_, request)| request).collect()
    };
    let created = of("/CreateAgent");
    let options = &created[0]["options"];
    assert_eq!(options["apiKey"], "key_good");
    assert_eq!(
        options["model"],
        json!({"id": "gpt-9", "params": [{"id": "reasoning", "value": "high"}]})
    );
    assert_eq!(options["tools"], json!({"names": ["mcp"]}));
    assert_eq!(options["disallowedTools"], json!(["task"]));
    assert_eq!(options["local"]["cwd"], json!(["/"]));
    assert_eq!(
        options["local"]["customTools"]["read"]["description"],
        "The tool read"
    );
    assert_eq!(
        options["local"]["customTools"]["read"]["inputSchema"]["type"],
        "object"
    );
    assert!(options["local"].get("settingSources").is_none());
    assert_eq!(created[1]["options"]["tools"], json!({"names": []}));
    let empty = created[1]["options"]["local"]["cwd"][0].as_str().unwrap();
    assert_eq!(std::fs::read_dir(empty).unwrap().count(), 0);
    let sent = of("/Send")[0];
    assert_eq!(sent["message"]["text"], "Look");
    assert_eq!(
        sent["message"]["images"],
        json!([{"data": {"data": "cG5n", "mimeType": "image/png"}}])
    );
    assert_eq!(sent["options"]["enableDeltas"], true);
    // Each run cleans up in a task of its own.
    let deleted = of("/DeleteAgent");
    let is_ours = |request: &&Value| request["agentId"] == options["agentId"];
    assert_eq!(deleted.into_iter().filter(is_ours).count(), 1);
    assert_eq!(of("/ListModels").len(), 1, "the list is kept");
    assert!(of("/CancelRun").is_empty(), "what is over is not cancelled");
    assert!(
        !environment.contains("CURSOR_API_KEY"),
        "the key is not in the environment"
    );
    assert!(environment.contains("CURSOR_SDK_CLIENT_LANGUAGE"));
    bridge.close().await;
}

#[tokio::test]
async fn a_run_that_is_dropped_is_cancelled_and_its_call_answered() {
    let Fixture { bridge, .. } = fixture();
    let mut run = start(&bridge, request("fake-tools"), "CALL read")
        .await
        .unwrap();
    call(&mut run).await;
    drop(run);
    let mut methods = Vec::new();
    let until = Instant::now() + LONG;
    while Instant::now() < until && methods.last().is_none_or(|last| last != "DeleteAgent") {
        let requests = journal(&bridge).await.0;
        let id = &requests
            .iter()
            .find(|(method, _)| method.ends_with("/Send"))
            .unwrap()
            .1["agentId"];
        let of_the_first = requests
            .iter()
            .filter(|(_, request)| &request["agentId"] == id);
        methods = of_the_first
            .map(|(method, _)| method.rsplit('/').next().unwrap().to_owned())
            .collect();
    }
    assert_eq!(methods, ["Send", "CancelRun", "CloseAgent", "DeleteAgent"]);
    timeout(LONG, bridge.close())
        .await
        .expect("nothing holds the bridge any more");
}

#[tokio::test]
async fn a_reader_that_rests_loses_nothing() {
    let Fixture { bridge, .. } = fixture();
    let mut run = start(&bridge, request("fake-many"), "").await.unwrap();
    sleep(Duration::from_millis(500)).await;
    let (heard, end) = listen(&mut run, |_, _| String::new()).await;
    end.unwrap();
    assert_eq!(heard.text.len(), 50_000);
    bridge.close().await;
}

#[tokio::test]
async fn failures_are_told_apart() {
    let Fixture { bridge, .. } = fixture();
    let kind = |error: &AgentError| {
        format!("{error:?}")
            .split([' ', '{', '('])
            .next()
            .unwrap()
            .to_owned()
    };
    for (model, expected, words, text) in [
        (
            "fake-refuse-RATE_LIMIT_EXCEEDED",
            "RateLimited",
            "refused",
            "",
        ),
        (
            "fake-refuse-USAGE_LIMIT_EXCEEDED",
            "UsageLimit",
            "refused",
            "",
        ),
        (
            "fake-refuse-INVALID_MODEL",
            "UnknownModel",
            "fake-refuse",
            "",
        ),
        ("fake-refuse-UPSTREAM_ERROR", "Failed", "refused", ""),
        ("fake-refuse-VALIDATION_ERROR", "Refused", "refused", ""),
        ("no-such-model", "UnknownModel", "no-such-model", ""),
        ("fake-no-result", "Failed", "without a result", "I am "),
        ("fake-cut", "Failed", "closed the stream", "I am "),
        ("fake-late-error", "Failed", "lost", "I am "),
        ("fake-run-error", "RateLimited", "slow down", ""),
        ("fake-status-error", "UsageLimit", "usage limit", ""),
    ] {
        let (heard, end) = play(&bridge, model, "").await;
        let error = end.unwrap_err();
        assert_eq!(kind(&error), expected, "{model}: {error}");
        assert!(error.to_string().contains(words), "{model}: {error}");
        assert_eq!(heard.text, text, "{model}");
    }
    bridge.close().await;
}

#[tokio::test]
async fn a_bad_or_missing_key_is_said() {
    let Fixture { bridge, .. } = with(fake_bridge(), "key_bad");
    let error = play(&bridge, "fake-ok", "").await.1.unwrap_err();
    assert!(matches!(error, AgentError::NotLoggedIn { .. }), "{error}");
    bridge.close().await;
    let Fixture { bridge, .. } = with(fake_bridge(), "");
    let error = play(&bridge, "fake-ok", "").await.1.unwrap_err();
    assert!(error.to_string().contains("CURSOR_API_KEY"), "{error}");
    assert_eq!(bridge.running(), None, "it was not even started");
}

#[tokio::test]
async fn a_crash_ends_its_run_and_the_next_one_has_a_new_bridge() {
    let Fixture { bridge, home } = fixture();
    let first = bridge.about().await.unwrap();
    let (heard, end) = play(&bridge, "fake-crash", "").await;
    let error = end.unwrap_err().to_string();
    assert_eq!(heard.text, "I am ");
    assert!(
        error.contains("ended in the middle") && error.contains("out of memory"),
        "{error}"
    );
    assert!(
        !error.contains("key_0123") && !error.contains("ready {"),
        "{error}"
    );
    play(&bridge, "fake-ok", "").await.1.unwrap();
    let second = bridge.running().unwrap();
    assert_ne!(first.pid, second.pid);
    // Another one so soon is more than bad luck.
    play(&bridge, "fake-crash", "").await.1.unwrap_err();
    let paused = play(&bridge, "fake-ok", "")
        .await
        .1
        .unwrap_err()
        .to_string();
    assert!(paused.contains("soon after its start"), "{paused}");
    sleep(Duration::from_millis(600)).await;
    play(&bridge, "fake-ok", "").await.1.unwrap();
    bridge.close().await;
    let left = std::fs::read_dir(home.path().join(".cache/open-cursor")).unwrap();
    assert_eq!(left.count(), 0, "its directories are gone");
}

#[tokio::test]
async fn runs_share_one_process_that_ends_with_us() {
    let Fixture { bridge, home } = fixture();
    let (a, b, c) = tokio::join!(
        play(&bridge, "fake-slow", ""),
        play(&bridge, "fake-tools", "CALL read"),
        play(&bridge, "fake-ok", "")
    );
    for (_, end) in [a, b, c] {
        end.unwrap();
    }
    let about = bridge.running().unwrap();
    assert_eq!(processes(home.path()), [about.pid]);
    timeout(LONG, bridge.close()).await.unwrap();
    assert!(processes(home.path()).is_empty());
}

#[tokio::test]
async fn keep_alives_are_not_events() {
    let Fixture { bridge, .. } = fixture();
    let mut run = start(&bridge, request("fake-silent"), "").await.unwrap();
    let heard = timeout(Duration::from_secs(2), async {
        let mut events = Vec::new();
        loop {
            run.next(&mut events).await.unwrap();
            assert!(
                events.len() < 10,
                "keep-alives would hold off the idle timeout for ever"
            );
        }
    });
    heard.await.unwrap_err();
    drop(run);
    timeout(LONG, bridge.close()).await.unwrap();
}

#[tokio::test]
async fn models_are_listed_as_the_cli_lists_them() {
    let Fixture { bridge, .. } = fixture();
    let list = bridge.models(None).await.unwrap();
    assert!(
        list.contains("auto - Auto\ngpt-9 - GPT 9\ngpt-9-high - GPT 9 High\n"),
        "{list}"
    );
    bridge.close().await;
}

#[tokio::test]
async fn a_program_that_is_not_the_bridge() {
    let Fixture { bridge, .. } = with(Path::new("/bin/cat"), "key_good");
    let error = play(&bridge, "fake-ok", "")
        .await
        .1
        .unwrap_err()
        .to_string();
    assert!(error.contains("ended before it was ready"), "{error}");
    play(&bridge, "fake-ok", "").await.1.unwrap_err();
    let again = std::time::Instant::now();
    play(&bridge, "fake-ok", "").await.1.unwrap_err();
    assert!(
        again.elapsed() < Duration::from_millis(100),
        "within the pause it is not tried again"
    );
    bridge.close().await;
}

/// A chat request with the tools `read` and `write`.
fn chat(model: &str, messages: Value) -> Value {
    let tool = |name: &str| {
        let schema = json!({"type": "object", "properties": {"a": {"type": "number"}}});
        json!({"type": "function", "function": {"name": name, "description": name, "parameters": schema}})
    };
    json!({"model": model, "messages": messages, "tools": [tool("read"), tool("write")]})
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

/// The conversation after the answer's calls were executed.
fn continued(messages: &Value, answer: &Answer, results: &[&str]) -> Value {
    let mut messages = messages.as_array().unwrap().clone();
    let message = answer.json()["choices"][0]["message"].clone();
    let calls = message["tool_calls"].as_array().unwrap().clone();
    messages.push(message);
    for (call, result) in calls.iter().zip(results) {
        messages.push(json!({"role": "tool", "tool_call_id": call["id"], "content": result}));
    }
    Value::Array(messages)
}

fn origin(answer: &Answer) -> &str {
    let header = answer.headers.get("x-open-cursor-run");
    header
        .unwrap_or_else(|| panic!("{answer:?}"))
        .to_str()
        .unwrap()
}

/// The requests that the server's bridge had, by their last word.
async fn asked(server: &TestServer) -> Vec<String> {
    let answer = server
        .whole(&json!({"model": "fake-journal", "messages": [user("?")]}))
        .await;
    let journal: Value =
        serde_json::from_str(answer.message()["content"].as_str().unwrap()).unwrap();
    let requests = journal["requests"].as_array().unwrap().clone();
    let name = |request: &Value| {
        request[0]
            .as_str()
            .unwrap()
            .rsplit('/')
            .next()
            .unwrap()
            .to_owned()
    };
    requests.iter().map(name).collect()
}

#[tokio::test]
async fn served_text_reasoning_and_usage() {
    let server = TestServer::bridge(|_| {}).await;
    let body = json!({"model": "fake-ok", "messages": [user("Hi")]});
    let answer = server.whole(&body).await;
    let message = answer.message();
    assert_eq!(message["content"], "Hello from the bridge.");
    assert_eq!(message["reasoning_content"], "Hm.");
    let usage = &answer.json()["usage"];
    assert_eq!(usage["prompt_tokens"], 120);
    assert_eq!(usage["completion_tokens"], 12);
    assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], 80);
    let health = server.get("/health").await.json();
    assert_eq!(health["fence"]["view"]["state"], "off");
    assert_eq!(health["agentKind"], "bridge");
    assert_eq!(health["bridge"]["version"], "0.0.0-fake");
    let models = server.get("/v1/models").await.json();
    let ids: Vec<&str> = models["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["id"].as_str().unwrap())
        .collect();
    assert!(
        ids.contains(&"gpt-9-high") && ids.contains(&"auto"),
        "{ids:?}"
    );
}

#[tokio::test]
async fn results_go_into_the_run_that_waits() {
    let server = TestServer::bridge(|_| {}).await;
    let messages = json!([user("CALL read {\"a\": 1}\nCALL write {\"a\": 2}")]);
    let answer = server.whole(&chat("fake-tools", messages.clone())).await;
    let message = answer.message();
    assert_eq!(message["content"], "Let me look.");
    let mut calls: Vec<(String, String)> = message["tool_calls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| {
            let text = |name: &str| call["function"][name].as_str().unwrap().to_owned();
            (text("name"), text("arguments"))
        })
        .collect();
    calls.sort();
    assert_eq!(
        calls,
        [
            ("read".to_owned(), "{\"a\":1}".to_owned()),
            ("write".to_owned(), "{\"a\":2}".to_owned())
        ]
    );
    assert_eq!(origin(&answer), "fresh");
    // They may come in any order; each result names its tool.
    let names: Vec<String> = message["tool_calls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| format!("result of {}", call["function"]["name"].as_str().unwrap()))
        .collect();
    let results: Vec<&str> = names.iter().map(String::as_str).collect();
    let next = chat("fake-tools", continued(&messages, &answer, &results));
    let last = server.whole(&next).await;
    assert_eq!(origin(&last), "resumed");
    assert_eq!(
        last.message()["content"],
        "Results: result of read | result of write"
    );
    assert_eq!(last.json()["choices"][0]["finish_reason"], "stop");
    let asked = asked(&server).await;
    let count = |name: &str| asked.iter().filter(|asked| *asked == name).count();
    assert_eq!(
        (count("CreateAgent"), count("Send")),
        (2, 2),
        "one run, and the one that asks"
    );
}

#[tokio::test]
async fn rounds_are_one_run() {
    let server = TestServer::bridge(|_| {}).await;
    let mut messages = json!([user("CALL read\nCALL write\nCALL read")]);
    let mut answer = server.whole(&chat("fake-rounds", messages.clone())).await;
    for (at, result) in ["one", "two", "three"].iter().enumerate() {
        assert_eq!(
            answer.json()["choices"][0]["finish_reason"],
            "tool_calls",
            "{at}"
        );
        messages = continued(&messages, &answer, &[result]);
        answer = server.whole(&chat("fake-rounds", messages.clone())).await;
        assert_eq!(origin(&answer), "resumed");
    }
    assert_eq!(answer.message()["content"], "three\n");
}

#[tokio::test]
async fn a_bridge_that_dies_while_a_run_waits_is_replaced_silently() {
    let server = TestServer::bridge(|_| {}).await;
    let messages = json!([user("CALL read")]);
    let answer = server.whole(&chat("fake-tools", messages.clone())).await;
    // It dies when another run makes it crash.
    let crash = server
        .whole(&json!({"model": "fake-crash", "messages": [user("")]}))
        .await;
    assert_eq!(crash.status, 502, "{}", crash.body);
    wait_until("the parked run ends", || server.app.engine().parked() == 0).await;
    let next = chat("fake-echo", continued(&messages, &answer, &["the result"]));
    let last = server.whole(&next).await;
    assert_eq!(origin(&last), "fresh");
    let text = last.message()["content"].as_str().unwrap().to_owned();
    assert!(
        text.contains("the result"),
        "the new run reads the whole conversation: {text}"
    );
}

#[tokio::test]
async fn failures_have_their_statuses() {
    let server = TestServer::bridge(|_| {}).await;
    for (model, status, code) in [
        (
            "fake-refuse-RATE_LIMIT_EXCEEDED",
            429,
            "rate_limit_exceeded",
        ),
        (
            "fake-refuse-USAGE_LIMIT_EXCEEDED",
            402,
            "insufficient_quota",
        ),
        ("fake-refuse-INVALID_MODEL", 404, "model_not_found"),
        ("fake-refuse-UPSTREAM_ERROR", 502, "agent_failed"),
        ("fake-run-error", 429, "rate_limit_exceeded"),
        ("fake-status-error", 402, "insufficient_quota"),
        ("no-such-model", 404, "model_not_found"),
    ] {
        let answer = server
            .whole(&json!({"model": model, "messages": [user("")]}))
            .await;
        assert_eq!(answer.status, status, "{model}: {}", answer.body);
        assert_eq!(answer.json()["error"]["code"], code, "{model}");
        if model == "fake-refuse-RATE_LIMIT_EXCEEDED" {
            assert_eq!(answer.headers["retry-after"], "7");
        }
    }
    let server = TestServer::bridge(|setup| setup.key = "key_bad").await;
    let answer = server
        .whole(&json!({"model": "fake-ok", "messages": [user("")]}))
        .await;
    assert_eq!(
        (answer.status, &answer.json()["error"]["code"]),
        (401, &json!("not_logged_in"))
    );
}

#[tokio::test]
async fn files_go_along() {
    let server = TestServer::bridge(|_| {}).await;
    let png = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    let text = "data:text/plain;base64,aGVsbG8gZmlsZQ==";
    let content = json!([
        {"type": "text", "text": "Look"},
        {"type": "image_url", "image_url": {"url": png}},
        {"type": "file", "file": {"filename": "a.txt", "file_data": text}},
    ]);
    let body = json!({"model": "fake-echo", "messages": [{"role": "user", "content": content}]});
    let answer = server.whole(&body).await;
    let text = answer.message()["content"].as_str().unwrap().to_owned();
    assert!(text.contains("[attached text file]\nhello file"), "{text}");
    assert!(text.ends_with("[1 images]"), "{text}");
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_run() {
    let server = TestServer::bridge(|_| {}).await;
    let body = json!({"model": "fake-slow", "messages": [user("")], "stream": true});
    let mut response = server.post(&body).await;
    response.body_mut().frame().await.unwrap().unwrap();
    drop(response);
    let until = Instant::now() + LONG;
    while !asked(&server).await.contains(&"CancelRun".to_owned()) {
        assert!(Instant::now() < until, "the run was not cancelled");
    }
}

#[tokio::test]
async fn what_doctor_measures() {
    let Fixture { bridge, .. } = fixture();
    let hold = Duration::from_millis(700);
    let prompt = "CALL probe {\"n\": 1}\nCALL probe {\"n\": 2}";
    let seen = measure(&bridge, "fake-tools", prompt, hold).await.unwrap();
    assert_eq!((seen.calls, seen.given_up), (2, false));
    assert!(seen.held >= hold && seen.first_sign.is_some(), "{seen:?}");
    assert_eq!(seen.usage.unwrap().output, 12);
    let seen = measure(&bridge, "fake-ok", prompt, hold).await.unwrap();
    assert_eq!(seen.calls, 0);
    let error = measure(&bridge, "fake-no-result", prompt, hold).await;
    assert!(error.is_err());
    bridge.close().await;
}

/// A home with a bridge that has not been chosen, a key, and no CLI.
fn cli() -> Home {
    let home = Home::new();
    home.env("CURSOR_SDK_BRIDGE", fake_bridge())
        .env("CURSOR_API_KEY", "key_good")
}

#[test]
fn setup_lets_runs_use_an_installed_bridge() {
    let home = cli();
    let used = |home: &Home| {
        let report: Value = serde_json::from_str(&home.run(&["doctor", "--json"]).stdout).unwrap();
        let findings = report["findings"].as_array().unwrap();
        let found = findings.iter().find(|it| it["check"] == "bridge").unwrap();
        found["severity"] == "ok"
    };
    assert!(!used(&home), "it is not used unasked");
    let asked = home.run(&["setup", "bridge"]);
    assert_eq!(asked.code, 2, "nobody can be asked: {asked:?}");
    assert!(
        asked.stderr.contains("proprietary") && asked.stderr.contains("--yes"),
        "{asked:?}"
    );
    let done = home.run(&["setup", "bridge", "--yes"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stdout.contains("bridge 0.0.0-fake works"), "{done:?}");
    assert!(done.stdout.contains("API key: CURSOR_API_KEY"), "{done:?}");
    assert!(used(&home), "it is used from now on");
    let removed = home.run(&["setup", "bridge", "--remove"]);
    assert_eq!((removed.code, used(&home)), (0, false), "{removed:?}");
    assert!(processes(&home.path()).is_empty(), "nothing runs on");
}

#[test]
fn commands_know_the_bridge() {
    let home = cli();
    let ended = home.run(&["doctor", "--agent", "bridge", "--json"]);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    let finding = |name: &str| {
        let findings = report["findings"].as_array().unwrap();
        let found = findings.iter().find(|it| it["check"] == name).unwrap();
        let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
        (text("severity"), text("message"))
    };
    assert_eq!(
        finding("agent"),
        ("info".to_owned(), "Cursor's SDK bridge".to_owned())
    );
    assert_eq!(finding("login").1, "runs use the API key in CURSOR_API_KEY");
    let (severity, message) = finding("bridge");
    assert!(
        severity == "ok" && message.contains("version 0.0.0-fake"),
        "{message}"
    );
    let ended = home.run(&["models", "--agent", "bridge"]);
    assert!(ended.stdout.contains("gpt-9-high"), "{ended:?}");
    let ended = home.run(&["auth", "status", "--json"]);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(report["bridgeKey"], "CURSOR_API_KEY");
    assert!(processes(&home.path()).is_empty(), "nothing runs on");
}
