//! The endpoint and an agent that uses it as Cursor's CLI does, without the server between client and
//! engine.

use std::{fs, path::Path, process::Stdio, time::Duration};

use open_cursor::{
    mcp::{Called, Endpoint, Event, Offer, WaitLimits},
    turn::{Attachment, ToolResult, ToolSpec},
};
use serde_json::{Value, json};
use tokio::{process::Command, time::timeout};

use crate::support::fake_agent::fake_agent;

const SOON: Duration = Duration::from_secs(30);

/// A run of the fake agent, its workspace and its configuration.
struct Run {
    endpoint: Endpoint,
    offer: Offer,
    workspace: tempfile::TempDir,
    config: tempfile::TempDir,
}

/// What a run printed.
struct Printed {
    code: Option<i32>,
    events: Vec<Value>,
    stderr: String,
}

impl Run {
    /// Offers `bash` and `read`, allowed as a run would have them.
    async fn new() -> Self {
        Self::with(WaitLimits::default()).await
    }

    async fn with(limits: WaitLimits) -> Self {
        let endpoint = Endpoint::bind(limits).await.unwrap();
        let spec = |name: &str, schema: Value| ToolSpec {
            name: name.to_owned(),
            description: format!("About {name}"),
            schema: schema.into(),
        };
        let text = json!({"type": "string"});
        let read = json!({"type": "object", "properties": {"filePath": text}});
        let bash = json!({
            "type": "object", "required": ["command"], "properties": {"command": text, "timeout": {"type": "number"}},
        });
        let run = Self {
            offer: endpoint.offer(&[spec("read", read), spec("bash", bash)]),
            endpoint,
            workspace: tempfile::tempdir().unwrap(),
            config: tempfile::tempdir().unwrap(),
        };
        run.write(".cursor/mcp.json", &run.offer.config());
        run.permissions(&["Mcp(oc:*)"], &["Shell(*)"]);
        run
    }

    fn write(&self, name: &str, content: &Value) {
        let file = self.workspace.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content.to_string()).unwrap();
    }

    fn permissions(&self, allow: &[&str], deny: &[&str]) {
        let config = json!({"version": 1, "permissions": {"allow": allow, "deny": deny}});
        let file = self.config.path().join("cli-config.json");
        fs::write(file, config.to_string()).unwrap();
    }

    /// Runs a scenario beside what the client does, for as long as both need.
    async fn play(&mut self, scenario: &str, client: impl AsyncFnOnce(&mut Offer)) -> Printed {
        let flags = [
            "--approve-mcps",
            "--allowed-tools",
            "mcp_tool_call,get_mcp_tools_tool_call",
        ];
        let (workspace, config) = (self.workspace.path(), self.config.path());
        let printed = agent(workspace, config, scenario, &flags);
        let both = async { tokio::join!(printed, client(&mut self.offer)).0 };
        timeout(SOON, both).await.expect("the run ends")
    }

    /// Runs a scenario whose calls are answered at once with their arguments.
    async fn echo(&mut self, scenario: &str, calls: usize) -> Printed {
        let client = async |offer: &mut Offer| {
            for _ in 0..calls {
                let made = called(offer).await;
                let text = Value::from(made.arguments).to_string();
                assert!(offer.reply(made.key, &result(&text), &[]));
            }
        };
        self.play(scenario, client).await
    }
}

async fn agent(workspace: &Path, config: &Path, scenario: &str, flags: &[&str]) -> Printed {
    let mut fake = Command::new(fake_agent());
    let model = format!("fake-mcp-{scenario}");
    fake.args(flags).args(["--model", &model, "go"]);
    printed(fake, workspace, config).await
}

/// Runs an agent to its end.
async fn printed(mut agent: Command, workspace: &Path, config: &Path) -> Printed {
    let output = agent
        .args([
            "-p",
            "--trust",
            "--output-format",
            "stream-json",
            "--stream-partial-output",
        ])
        .arg("--workspace")
        .arg(workspace)
        .env("CURSOR_CONFIG_DIR", config)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    Printed {
        code: output.status.code(),
        events: stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The next call. The list of tools may come before it.
async fn called(offer: &mut Offer) -> Called {
    loop {
        match offer.next().await {
            Some(Event::Called(called)) => return called,
            Some(Event::Listed) => {}
            other => panic!("{other:?} is not a call"),
        }
    }
}

fn result(content: &str) -> ToolResult {
    ToolResult {
        call_id: String::new(),
        name: None,
        content: content.to_owned(),
        is_error: false,
    }
}

impl Printed {
    /// The text of the run's `result`, which the deltas must have said already.
    fn answer(&self) -> &str {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        let last = self.events.last().unwrap();
        assert_eq!(last["type"], "result");
        assert!(last["usage"]["outputTokens"].is_u64());
        let answer = last["result"].as_str().unwrap();
        assert_eq!(answer, self.deltas());
        answer
    }

    fn deltas(&self) -> String {
        let deltas = self.events.iter().filter(|event| {
            event["type"] == "assistant"
                && event["timestamp_ms"].is_u64()
                && event["model_call_id"].is_null()
        });
        let text = |event: &Value| {
            event["message"]["content"][0]["text"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        deltas.map(text).collect()
    }

    /// The inner objects of one kind of tool call's events.
    fn calls(&self, kind: &str, subtype: &str) -> Vec<&Value> {
        let events = self
            .events
            .iter()
            .filter(|event| event["subtype"] == subtype);
        events
            .filter_map(|event| event["tool_call"].get(kind))
            .collect()
    }
}

#[tokio::test]
async fn events_have_the_clis_shapes() {
    let mut run = Run::new().await;
    let printed = run.echo("one", 1).await;
    assert_eq!(printed.answer(), r#"bash: {"command":"echo fake 1"}"#);
    let looked = printed.calls("getMcpToolsToolCall", "completed");
    assert_eq!(looked[0]["args"]["server"], "oc");
    let tools = looked[0]["result"]["success"]["content"].as_str().unwrap();
    assert!(tools.contains("await_result"), "{tools}");
    let started = printed.calls("mcpToolCall", "started")[0];
    let args = &started["args"];
    assert_eq!(args["name"], "oc-bash");
    assert_eq!(args["args"], json!({"command": "echo fake 1"}));
    assert_eq!(args["providerIdentifier"], "oc");
    assert_eq!(args["toolName"], "bash");
    assert!(args["toolCallId"].as_str().unwrap().contains('\n'));
    let completed = printed.calls("mcpToolCall", "completed")[0];
    let text = json!({"text": {"text": r#"{"command":"echo fake 1"}"#}});
    assert_eq!(completed["result"]["success"]["content"], json!([text]));
    assert_eq!(completed["result"]["success"]["isError"], false);
}

#[tokio::test]
async fn calls_come_one_after_the_other_and_between_texts() {
    let mut run = Run::new().await;
    let printed = run.echo("three", 3).await;
    let said: Vec<&str> = printed.answer().lines().collect();
    assert_eq!(said.len(), 3);
    assert!(said[2].contains("echo fake 3"));
    let printed = run.echo("text", 2).await;
    let answer = printed.answer();
    assert!(answer.starts_with("One. Two. Three. bash: "), "{answer}");
}

#[tokio::test]
async fn parallel_calls_are_spread_and_answered_in_any_order() {
    for (scenario, count) in [("parallel", 4), ("announced", 3), ("late", 3)] {
        let mut run = Run::new().await;
        let client = async |offer: &mut Offer| {
            let begun = tokio::time::Instant::now();
            let mut made = Vec::new();
            for _ in 0..count {
                made.push(called(offer).await);
            }
            assert!(begun.elapsed() >= Duration::from_millis(1200), "{scenario}");
            for call in made.iter().rev() {
                let command = call.arguments["command"].as_str().unwrap();
                assert!(offer.reply(call.key, &result(command), &[]));
            }
        };
        let printed = run.play(scenario, client).await;
        let answer = printed.answer();
        for number in 1..=count {
            assert!(
                answer.contains(&format!("bash: echo fake {number}")),
                "{answer}"
            );
        }
        let position = |subtype: &str, at: usize| {
            let mut events = printed.events.iter().enumerate().filter(|(_, event)| {
                event["subtype"] == subtype && event["tool_call"]["mcpToolCall"].is_object()
            });
            events.nth(at).unwrap().0
        };
        assert!(
            position("started", count - 1) < position("completed", 0),
            "{scenario}"
        );
    }
}

#[tokio::test]
async fn a_tool_that_takes_long_is_awaited() {
    let limits = WaitLimits {
        hold: Duration::from_millis(200),
        heartbeat: Duration::from_millis(50),
        ..WaitLimits::default()
    };
    let mut run = Run::with(limits).await;
    let client = async |offer: &mut Offer| {
        let made = called(offer).await;
        tokio::time::sleep(Duration::from_millis(1100)).await;
        // Held just now, or kept for the next wait.
        offer.reply(made.key, &result("at last"), &[]);
    };
    let printed = run.play("one", client).await;
    assert_eq!(printed.answer(), "await_result: at last");
    let waits = printed.calls("mcpToolCall", "started").len() - 1;
    assert!((1..=6).contains(&waits), "{waits} waits");
}

#[tokio::test]
async fn images_and_errors_reach_the_model() {
    let mut run = Run::new().await;
    let client = async |offer: &mut Offer| {
        for number in 1..=3 {
            let made = called(offer).await;
            let file = Attachment {
                extension: "png",
                bytes: vec![0; 3 * number].into(),
                file: None,
            };
            let answer = ToolResult {
                is_error: number == 2,
                ..result("see")
            };
            assert!(offer.reply(made.key, &answer, &[file]));
        }
    };
    let printed = run.play("three", client).await;
    assert_eq!(
        printed.answer(),
        "bash: see (image/png, 4 characters)\nbash failed: see (image/png, 8 characters)\n\
         bash: see (image/png, 12 characters)"
    );
}

#[tokio::test]
async fn wrong_calls_come_through_or_are_explained() {
    let mut run = Run::new().await;
    let printed = run.echo("bad-arguments", 1).await;
    assert_eq!(printed.answer(), r#"bash: {"nonsense":1}"#);
    let printed = run.play("unknown", async |_| {}).await;
    let answer = printed.answer();
    assert!(
        answer.contains("no_such_tool failed: ") && answer.contains("read, bash"),
        "{answer}"
    );
}

#[tokio::test]
async fn an_agent_that_dies_or_gives_up_is_noticed() {
    for (scenario, code, said) in [
        ("dies", Some(1), ""),
        (
            "gives-up",
            Some(0),
            "I waited long enough. bash error: MCP error -32001: Request timed out",
        ),
    ] {
        let mut run = Run::new().await;
        let client = async |offer: &mut Offer| {
            let made = called(offer).await;
            assert_eq!(offer.next().await, Some(Event::Cancelled(made.key)));
            assert!(!offer.reply(made.key, &result("late"), &[]));
        };
        let printed = run.play(scenario, client).await;
        assert_eq!(printed.code, code);
        assert_eq!(printed.deltas(), said);
    }
    let mut run = Run::new().await;
    let printed = run.echo("dies-after", 1).await;
    assert_eq!(
        (printed.code, printed.deltas().as_str()),
        (Some(1), "The tool said")
    );
}

#[tokio::test]
async fn a_native_edit_while_a_call_waits() {
    let mut run = Run::new().await;
    let file = run.workspace.path().join("breach.txt");
    let client = async |offer: &mut Offer| {
        let made = called(offer).await;
        while !file.exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(offer.reply(made.key, &result("done"), &[]));
    };
    let printed = run.play("breach", client).await;
    assert_eq!(printed.answer(), "bash: done");
    assert!(printed.calls("editToolCall", "completed")[0]["result"]["success"].is_object());
}

#[tokio::test]
async fn the_same_call_again_and_again() {
    let mut run = Run::new().await;
    let printed = run.echo("loop", 30).await;
    let said: Vec<&str> = printed.answer().lines().collect();
    assert!(said.len() == 30 && said.iter().all(|line| *line == said[0]));
}

#[tokio::test]
async fn tools_are_listed_late_or_never() {
    for scenario in ["blind", "init-only"] {
        let mut run = Run::new().await;
        let printed = run.play(scenario, async |_| {}).await;
        assert_eq!(printed.answer(), "I have no tools.");
        let seen = timeout(Duration::from_millis(50), run.offer.next()).await;
        assert!(seen.is_err(), "{scenario}: {seen:?}");
    }
    let mut run = Run::new().await;
    let begun = tokio::time::Instant::now();
    run.echo("lists-late", 1).await.answer();
    assert!(begun.elapsed() >= Duration::from_secs(2));
}

#[tokio::test]
async fn permissions_are_kept() {
    for (allow, deny, said) in [
        (
            &["Mcp(other:*)"][..],
            &[][..],
            "bash rejected: User rejected MCP: oc-bash",
        ),
        (&["Mcp(oc:*)"], &["Mcp(*:*)"], "bash permissionDenied: "),
    ] {
        let mut run = Run::new().await;
        run.permissions(allow, deny);
        let printed = run.play("one", async |_| {}).await;
        assert!(printed.answer().starts_with(said), "{}", printed.answer());
    }
    // Servers that nobody approved are not there; nor is the tool without its name on the list.
    let run = Run::new().await;
    let printed = agent(run.workspace.path(), run.config.path(), "one", &[]).await;
    assert!(!printed.calls("shellToolCall", "started").is_empty());
    let flags = [
        "--approve-mcps",
        "--allowed-tools",
        "get_mcp_tools_tool_call",
    ];
    let printed = agent(run.workspace.path(), run.config.path(), "one", &flags).await;
    assert_eq!(printed.answer(), "I have no tools.");
    drop(run.endpoint);
}

#[tokio::test]
async fn allowed_tools_are_refused_by_older_clis() {
    let run = Run::new().await;
    let flags = ["--allowed-tools", "mcp_tool_call,get_mcp_tools_tool_call"];
    for (scenario, message) in [
        ("no-flag", "error: unknown option '--allowed-tools'"),
        (
            "old-flag",
            "Invalid --allowed-tools value(s): get_mcp_tools_tool_call. Expected one of: shell_tool_call, ",
        ),
    ] {
        let printed = agent(run.workspace.path(), run.config.path(), scenario, &flags).await;
        assert_eq!(printed.code, Some(1));
        assert!(printed.stderr.starts_with(message), "{}", printed.stderr);
        assert!(printed.events.is_empty());
    }
}

/// What `--approve-mcps` approves besides: what lies in the workspace is started.
#[cfg(unix)]
#[tokio::test]
async fn every_server_in_sight_is_approved() {
    let mut run = Run::new().await;
    let marker = run.workspace.path().join("started");
    let mut config = run.offer.config();
    config["mcpServers"]["theirs"] = json!({"command": "touch", "args": [marker]});
    run.write(".cursor/mcp.json", &config);
    run.echo("one", 1).await.answer();
    assert!(marker.exists());
}

#[tokio::test]
async fn the_replay_agent_plays_all_its_steps_in_one_run() {
    let limits = WaitLimits {
        hold: Duration::from_millis(100),
        ..WaitLimits::default()
    };
    let mut run = Run::with(limits).await;
    let steps = json!([
        [{"say": "One. "}, {"tools": [{"read": {"path": "/a"}}]}],
        [{"say": "Two: {result}. "}, {"tools": [{"shell": {"command": "ls", "description": "List"}}]}],
        [{"say": "Three: {result}. "}, {"tools": [{"web_fetch": {"url": "http://a.example/"}}]}],
    ]);
    let mut replay = Command::new(env!("CARGO_BIN_EXE_open-cursor"));
    replay.args(["replay-agent", "--approve-mcps", "--replay-pace", "0"]);
    replay.args(["--model", "replay-script", &steps.to_string()]);
    let agent = printed(replay, run.workspace.path(), run.config.path());
    let offer = &mut run.offer;
    let client = async {
        let shell = json!({"command": "ls", "description": "List"});
        for (arguments, answer) in [(json!({"filePath": "/a"}), "text"), (shell, "files")] {
            let made = called(offer).await;
            assert_eq!(Value::from(made.arguments), arguments);
            tokio::time::sleep(Duration::from_millis(250)).await;
            offer.reply(made.key, &result(answer), &[]);
        }
    };
    let both = async { tokio::join!(agent, client).0 };
    let printed = timeout(SOON, both).await.expect("the run ends");
    let answer = printed.answer();
    assert!(
        answer.starts_with("One. Two: text. Three: files. Nobody executed"),
        "{answer}"
    );
    assert!(printed.calls("webFetchToolCall", "started").is_empty());
    let names: Vec<&Value> = printed
        .calls("mcpToolCall", "started")
        .iter()
        .map(|call| &call["args"]["toolName"])
        .collect();
    assert_eq!(
        (names.first(), names.last()),
        (Some(&&json!("read")), Some(&&json!("await_result")))
    );
}
