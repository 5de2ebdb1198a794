use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use open_cursor::agent::{
    AgentError, AgentEvent, Env, RunUsage,
    bridge::{Bridge, BridgeRun, Happened, Image, Request, Tool, find_key},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};

use crate::support::fake_bridge;

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

fn request(model: &str, prompt: &str) -> Request {
    let tool = |name: &str| Tool {
        name: name.to_owned(),
        description: format!("The tool {name}"),
        schema: Arc::new(json!({"type": "object", "properties": {"a": {"type": "number"}}})),
    };
    Request {
        prompt: prompt.into(),
        images: Vec::new(),
        model: model.to_owned(),
        workspace: "/".into(),
        tools: vec![tool("read"), tool("write")],
        key: None,
        tap: None,
    }
}

/// What a run said, and what it called.
#[derive(Debug, Default)]
struct Heard {
    text: String,
    thinking: String,
    calls: Vec<(String, Value)>,
    natives: Vec<String>,
    usage: Option<RunUsage>,
    result: String,
}

/// Listens to the end and answers each call with `answer`.
async fn listen(
    run: &mut BridgeRun,
    answer: impl Fn(&str, &Value) -> String,
) -> (Heard, Result<(), AgentError>) {
    let mut heard = Heard::default();
    loop {
        let happened = timeout(LONG, run.next()).await.expect("the run goes on");
        let events = match happened {
            Ok(Happened::Events(events)) => events,
            Ok(Happened::Called {
                key,
                name,
                arguments,
            }) => {
                let arguments = Value::Object(arguments);
                run.reply(key, &answer(&name, &arguments), false).unwrap();
                heard.calls.push((name, arguments));
                continue;
            }
            Err(error) => return (heard, Err(error)),
        };
        for event in events {
            match event {
                AgentEvent::TextDelta(text) => heard.text += &text,
                AgentEvent::Thinking(text) => heard.thinking += &text,
                AgentEvent::ToolStarted(call) => heard.natives.push(call.kind),
                AgentEvent::Finished(result) => {
                    heard.usage = result.usage;
                    heard.result = result.text;
                    return (heard, Ok(()));
                }
                _ => {}
            }
        }
    }
}

async fn play(bridge: &Bridge, model: &str, prompt: &str) -> (Heard, Result<(), AgentError>) {
    match bridge.start(request(model, prompt)).await {
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
    let usage = RunUsage {
        input: 30,
        output: 12,
        cache_read: Some(80),
        cache_write: Some(10),
        reasoning: None,
        cost: None,
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
    let mut run = bridge
        .start(request("fake-rounds", "CALL read\nCALL write {\"a\":3}"))
        .await
        .unwrap();
    let mut texts = Vec::new();
    for answer in ["one", "two"] {
        loop {
            match timeout(LONG, run.next()).await.unwrap().unwrap() {
                Happened::Events(events) => {
                    texts.extend(events.into_iter().filter_map(|event| match event {
                        AgentEvent::TextDelta(text) => Some(text),
                        _ => None,
                    }))
                }
                Happened::Called { key, .. } => {
                    sleep(Duration::from_millis(300)).await;
                    run.reply(key, answer, false).unwrap();
                    assert!(
                        run.reply(key, "again", false).is_err(),
                        "an answer goes out once"
                    );
                    break;
                }
            }
        }
    }
    let (heard, end) = listen(&mut run, |_, _| unreachable!()).await;
    end.unwrap();
    assert_eq!(texts.concat() + &heard.text, "one\ntwo\n");
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
    let mut asked = request("gpt-9-high", "Look");
    asked.images.push(Image {
        mime_type: "image/png".to_owned(),
        bytes: "png".into(),
    });
    let mut run = bridge.start(asked).await.unwrap();
    listen(&mut run, |_, _| String::new()).await.1.unwrap();
    drop(run);
    let mut no_tools = request("fake-echo", "Say");
    no_tools.tools.clear();
    let mut run = bridge.start(no_tools).await.unwrap();
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
    let sent = of("/Send")[0];
    assert_eq!(sent["message"]["text"], "Look");
    assert_eq!(
        sent["message"]["images"],
        json!([{"data": {"data": "cG5n", "mimeType": "image/png"}}])
    );
    assert_eq!(sent["options"]["enableDeltas"], true);
    assert_eq!(of("/DeleteAgent")[0]["agentId"], options["agentId"]);
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
    let mut run = bridge
        .start(request("fake-tools", "CALL read"))
        .await
        .unwrap();
    while !matches!(
        timeout(LONG, run.next()).await.unwrap().unwrap(),
        Happened::Called { .. }
    ) {}
    drop(run);
    let mut methods = Vec::new();
    let until = Instant::now() + LONG;
    while Instant::now() < until
        && !methods
            .iter()
            .any(|method: &String| method.ends_with("/DeleteAgent"))
    {
        let requests = journal(&bridge).await.0;
        methods = requests.into_iter().map(|(method, _)| method).collect();
    }
    let clean: Vec<_> = methods
        .iter()
        .map(|method| method.rsplit('/').next().unwrap())
        .filter(|method| ["CancelRun", "CloseAgent", "DeleteAgent"].contains(method))
        .collect();
    assert_eq!(clean[..3], ["CancelRun", "CloseAgent", "DeleteAgent"]);
    timeout(LONG, bridge.close())
        .await
        .expect("nothing holds the bridge any more");
}

#[tokio::test]
async fn a_reader_that_rests_loses_nothing() {
    let Fixture { bridge, .. } = fixture();
    let mut run = bridge.start(request("fake-many", "")).await.unwrap();
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
            .split([' ', '{'])
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
    assert_eq!(bridge.running().await, None, "it was not even started");
    let mut asked = request("fake-ok", "");
    asked.key = open_cursor::agent::bridge::Key::new("key_of_the_caller");
    let mut run = bridge.start(asked).await.unwrap();
    listen(&mut run, |_, _| String::new()).await.1.unwrap();
    drop(run);
    bridge.close().await;
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
    // It ended soon after its start, so there is a pause.
    let paused = play(&bridge, "fake-ok", "")
        .await
        .1
        .unwrap_err()
        .to_string();
    assert!(paused.contains("soon after its start"), "{paused}");
    sleep(Duration::from_millis(600)).await;
    play(&bridge, "fake-ok", "").await.1.unwrap();
    let second = bridge.running().await.unwrap();
    assert_ne!(first.pid, second.pid);
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
    let about = bridge.running().await.unwrap();
    assert_eq!(processes(home.path()), [about.pid]);
    timeout(LONG, bridge.close()).await.unwrap();
    assert!(processes(home.path()).is_empty());
}

#[tokio::test]
async fn keep_alives_are_not_events() {
    let Fixture { bridge, .. } = fixture();
    let mut run = bridge.start(request("fake-silent", "")).await.unwrap();
    let heard = timeout(Duration::from_secs(2), async {
        let mut count = 0;
        loop {
            run.next().await.unwrap();
            count += 1;
            assert!(
                count < 10,
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
    let list = bridge.models().await.unwrap();
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
    let again = std::time::Instant::now();
    play(&bridge, "fake-ok", "").await.1.unwrap_err();
    assert!(
        again.elapsed() < Duration::from_millis(100),
        "within the pause it is not tried again"
    );
    bridge.close().await;
}
