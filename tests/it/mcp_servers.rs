//! MCP servers whose tools the server executes: well-behaved ones, and others.

use std::{num::NonZeroU32, path::Path, time::Duration};

use open_cursor::{
    agent::Serving,
    engine::{Exec, Turns},
    hands::{
        Toolbox, ToolboxSetup, environment,
        mcp::{McpHealth, McpLimits, McpServerConfig, McpServers, McpTransport},
    },
    mcp::{Endpoint, Event, WaitLimits},
    sandbox::fence::FenceMode,
    turn::{ToolResult, ToolSpec},
};
use serde_json::{Map, Value, json};

use crate::support::{
    Home, TestServer, ended, fake_agent::fake_mcp, process_exists, user, wait_until,
};

pub const LIMITS: McpLimits = McpLimits {
    start: Duration::from_secs(10),
    call: Duration::from_secs(10),
};

pub fn config(name: &str, mode: &str) -> McpServerConfig {
    McpServerConfig {
        name: name.to_owned(),
        source: "own",
        transport: Ok(McpTransport::Command {
            program: fake_mcp().display().to_string(),
            args: vec![mode.to_owned()],
            env: vec![("FAKE_TOKEN".to_owned(), "t0ken".to_owned())],
            cwd: None,
        }),
    }
}

pub fn servers(configs: Vec<McpServerConfig>, limits: McpLimits) -> McpServers {
    let env = environment(std::env::vars_os(), true);
    McpServers::new(
        configs,
        env!("CARGO_BIN_EXE_open-cursor").into(),
        env,
        limits,
    )
}

fn text(text: &str) -> Map<String, Value> {
    Map::from_iter([("text".to_owned(), text.into())])
}

fn only(health: Vec<McpHealth>) -> McpHealth {
    let [one] = health.try_into().unwrap();
    one
}

#[tokio::test]
async fn tools_are_listed_and_called() {
    let servers = servers(vec![config("fake", "good")], LIMITS);
    assert_eq!(only(servers.health()).state, "idle");
    let tools = servers.tools().await;
    let names: Vec<&str> = tools.iter().map(|tool| tool.spec.name.as_str()).collect();
    assert_eq!(names[..3], ["fake_echo", "fake_env", "fake_fail"]);
    assert_eq!(tools[0].source, "mcp:fake");
    assert!(tools[0].only_reads && !tools[1].only_reads);
    assert_eq!(tools[0].spec.schema["properties"]["text"]["type"], "string");
    let call =
        async |name: &str, arguments: Map<String, Value>| servers.call(name, arguments).await;
    let (said, files, is_error) = call("fake_echo", text("hello")).await.unwrap();
    assert_eq!((said.as_str(), files.len(), is_error), ("hello", 0, false));
    assert_eq!(
        call("fake_env", text("FAKE_TOKEN")).await.unwrap().0,
        "t0ken"
    );
    assert_eq!(
        call("fake_env", text("CURSOR_API_KEY")).await.unwrap().0,
        "unset"
    );
    assert_eq!(
        call("fake_fail", text("")).await.unwrap(),
        ("it broke".to_owned(), vec![], true)
    );
    let (_, pictures, _) = call("fake_picture", text("")).await.unwrap();
    assert_eq!((pictures[0].extension, pictures[0].bytes.len()), ("png", 6));
    assert_eq!(
        call("fake_structure", text("")).await.unwrap().0,
        r#"{"answer":42}"#
    );
    // Its list has changed.
    assert!(!servers.knows("fake_new"));
    call("fake_change", text("")).await.unwrap();
    assert!(
        servers
            .tools()
            .await
            .iter()
            .any(|tool| tool.spec.name == "fake_new")
    );
    let health = only(servers.health());
    assert_eq!(
        (health.state, health.starts, health.tools),
        ("running", 1, 11)
    );
    servers.close().await;
}

#[tokio::test]
async fn a_server_that_dies_is_started_again() {
    let servers = servers(vec![config("fake", "good")], LIMITS);
    servers.tools().await;
    for round in 1..3 {
        let error = servers.call("fake_die", text("")).await.unwrap_err();
        assert!(
            error.starts_with("mcp error: the server `fake`: "),
            "{error}"
        );
        assert!(error.contains("a bug in the server"), "{error}");
        assert_eq!(only(servers.health()).state, "failed");
        assert_eq!(
            servers.call("fake_echo", text("back")).await.unwrap().0,
            "back"
        );
        assert_eq!(only(servers.health()).starts, round + 1);
    }
    servers.close().await;
}

#[tokio::test]
async fn too_much_and_too_late_are_errors() {
    let limits = McpLimits {
        call: Duration::from_secs(3),
        ..LIMITS
    };
    let servers = servers(vec![config("fake", "good")], limits);
    servers.tools().await;
    let error = servers.call("fake_huge", text("")).await.unwrap_err();
    assert!(error.contains("more than 16 MiB"), "{error}");
    assert_eq!(
        servers.call("fake_echo", text("back")).await.unwrap().0,
        "back"
    );
    let error = servers.call("fake_hang", text("")).await.unwrap_err();
    assert!(error.contains("timed out after 3 s"), "{error}");
    // An answer that is not of the protocol's form is an error, or without content.
    if let Ok((said, ..)) = servers.call("fake_odd", text("")).await {
        assert_eq!(said, "");
    }
    servers.close().await;
}

#[tokio::test]
async fn what_a_server_says_of_its_tools_is_checked() {
    let servers = servers(
        vec![config("liar", "liar"), config("more", "pages")],
        LIMITS,
    );
    let tools = servers.tools().await;
    let liars = tools.iter().filter(|tool| tool.source == "mcp:liar");
    for tool in liars.clone() {
        assert!(
            jsonschema::validator_for(&tool.spec.schema).is_ok(),
            "{tool:?}"
        );
        assert_eq!(tool.spec.schema["type"], "object");
        assert!(tool.spec.name.len() <= 64 && tool.spec.description.len() < 5_000);
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        assert!(tool.spec.name.chars().all(plain), "{}", tool.spec.name);
    }
    assert!(liars.count() >= 4);
    assert!(tools.len() < 300, "pages without end: {}", tools.len());
    let mut names: Vec<&str> = tools.iter().map(|tool| tool.spec.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), tools.len());
    servers.close().await;
}

#[tokio::test]
async fn servers_that_do_not_start_keep_nobody() {
    let missing = McpServerConfig {
        transport: Ok(McpTransport::Command {
            program: "no-such-program".to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            cwd: None,
        }),
        ..config("missing", "")
    };
    let odd = McpServerConfig {
        transport: Ok(McpTransport::Http {
            url: "ftp://127.0.0.1/mcp".to_owned(),
            headers: Vec::new(),
        }),
        ..config("odd", "")
    };
    let closed = McpServerConfig {
        transport: Ok(McpTransport::Http {
            url: "http://127.0.0.1:9/mcp".to_owned(),
            headers: Vec::new(),
        }),
        ..config("closed", "")
    };
    let unset = McpServerConfig {
        transport: Err("the variable TOKEN is not set".to_owned()),
        ..config("unset", "")
    };
    let limits = McpLimits {
        start: Duration::from_secs(2),
        ..LIMITS
    };
    let configs = vec![
        config("dead", "dead"),
        config("mute", "mute"),
        config("line", "endless-line"),
        missing,
        odd,
        closed,
        unset,
        config("good", "good"),
    ];
    let servers = servers(configs, limits);
    let begun = std::time::Instant::now();
    let tools = servers.tools().await;
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
    assert!(tools.iter().all(|tool| tool.source == "mcp:good") && !tools.is_empty());
    let errors: Vec<String> = servers
        .health()
        .into_iter()
        .filter_map(|one| one.error)
        .collect();
    let expected = [
        "no database at [redacted]",
        "not ready within 2 s",
        "16 MiB",
        "no program `no-such-program`",
        "does not begin with https://",
        "",
        "TOKEN is not set",
    ];
    assert_eq!(errors.len(), expected.len(), "{errors:?}");
    for (error, expected) in errors.iter().zip(expected) {
        assert!(error.contains(expected), "{error} lacks {expected}");
    }
    // It is not tried again at once.
    let begun = std::time::Instant::now();
    servers.tools().await;
    assert!(begun.elapsed() < Duration::from_secs(6));
    servers.close().await;
}

#[tokio::test]
async fn streamable_http_is_spoken() {
    let endpoint = Endpoint::bind(WaitLimits::default()).await.unwrap();
    let mut offer = endpoint.offer(&[ToolSpec {
        name: "deploy".to_owned(),
        description: "Deploys".to_owned(),
        schema: json!({"type": "object", "properties": {"to": {"type": "string"}}}).into(),
    }]);
    let server = offer.config()["mcpServers"][offer.server_name()].clone();
    let transport = |bearer: &Value| McpTransport::Http {
        url: server["url"].as_str().unwrap().to_owned(),
        headers: vec![(
            "Authorization".to_owned(),
            bearer.as_str().unwrap().to_owned(),
        )],
    };
    let good = McpServerConfig {
        transport: Ok(transport(&server["headers"]["Authorization"])),
        ..config("ours", "")
    };
    let wrong = McpServerConfig {
        transport: Ok(transport(&json!("Bearer wrong"))),
        ..config("wrong", "")
    };
    let answering = tokio::spawn(async move {
        loop {
            if let Some(Event::Called(call)) = offer.next().await {
                let result = ToolResult {
                    call_id: String::new(),
                    name: None,
                    content: format!("deployed to {}", call.arguments["to"]),
                    is_error: false,
                };
                offer.reply(call.key, &result, &[]);
                return offer;
            }
        }
    });
    let servers = servers(vec![good, wrong], LIMITS);
    let tools = servers.tools().await;
    assert_eq!(tools[0].spec.name, "ours_deploy", "{:?}", servers.health());
    let arguments = Map::from_iter([("to".to_owned(), json!("moon"))]);
    let (said, ..) = servers.call("ours_deploy", arguments).await.unwrap();
    assert_eq!(said, "deployed to \"moon\"");
    assert_eq!(servers.health()[1].state, "failed");
    drop(answering.await.unwrap());
    servers.close().await;
}

#[tokio::test]
async fn an_agent_calls_them_and_health_tells_of_them() {
    let toolbox = Toolbox::open(ToolboxSetup {
        tools: Vec::new(),
        network: false,
        fence: FenceMode::Auto,
        program: env!("CARGO_BIN_EXE_open-cursor").into(),
        env: std::env::vars_os().collect(),
        workspace: None,
        mcp: vec![config("fake", "good"), config("dead", "dead")],
        mcp_limits: LIMITS,
    });
    let exec = Exec {
        toolbox: toolbox.await.unwrap(),
        confirm: vec!["fake_env".to_owned()],
        max_steps: NonZeroU32::new(50).unwrap(),
    };
    let server = TestServer::with(|setup| {
        setup.engine.exec = Some(exec);
        setup.engine.workspaces.fixed = None;
        setup.engine.turns = Turns::Auto;
        setup.agent.serve_tools = Some(Serving {
            listed_within: Duration::from_secs(60),
            ..Serving::default()
        });
    })
    .await;
    let health = server.get("/health").await.json();
    assert_eq!(
        health["mcp"][0]["state"], "idle",
        "started when it is needed: {health}"
    );
    let call = |tool: &str| json!({"call": {"tool": tool, "arguments": {"text": "hello"}}});
    let steps = json!([
        call("fake_echo"),
        call("fake_picture"),
        call("fake_die"),
        call("fake_fail")
    ]);
    let answer = server
        .whole(&user("fake-mcp-script", &format!("go\n{steps}")))
        .await;
    let said = answer.message()["content"].as_str().unwrap().to_owned();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "fake_echo: hello");
    assert!(lines[1].ends_with("(image/png, 8 characters)"), "{said}");
    assert!(
        lines[2].starts_with("fake_die failed: mcp error: the server `fake`: "),
        "{said}"
    );
    assert_eq!(lines[3], "fake_fail failed: it broke");
    let health = server.get("/health").await.json();
    assert_eq!(health["mcp"][0]["state"], "running", "{health}");
    assert_eq!(health["mcp"][0]["starts"], 2);
    assert_eq!(health["mcp"][1]["state"], "failed");
    let listed = server.get("/v1/tools").await.json();
    let tool = |name: &str| {
        let mut tools = listed["data"].as_array().unwrap().iter();
        tools.find(|tool| tool["name"] == name).unwrap().clone()
    };
    assert_eq!(tool("fake_env")["needs_confirmation"], true);
    assert_eq!(tool("fake_echo")["source"], "mcp:fake");
    let mut request = user("fake-ok", "go");
    request["tools"] = json!(["fake_env"]);
    let refused = server.whole(&request).await;
    assert!(
        refused.body.contains("x-open-cursor-allow: fake_env"),
        "{}",
        refused.body
    );
    server.app.engine().toolbox().unwrap().close().await;
}

#[test]
fn the_command_lists_and_calls() {
    let home = Home::new().env("FAKE", fake_mcp().as_os_str());
    let file = home.path().join(".config/open-cursor/mcp.json");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(
        &file,
        r#"{"mcpServers": {
        "fake": {"command": "${FAKE}", "args": ["good"], "env": {"T": "secret-value"}},
        "dead": {"command": "${FAKE}", "args": ["dead"]},
    }}"#,
    )
    .unwrap();
    let run = |args: &[&str]| ended(&home.command(&[&["mcp"], args].concat()).output().unwrap());
    let from = ["--mcp-from", "own"];
    let listed = run(&[&["list"], &from[..]].concat());
    assert_eq!(listed.code, 0, "{}", listed.stderr);
    assert!(listed.stdout.starts_with("fake ") && !listed.stdout.contains("secret-value"));
    let none = run(&["list"]);
    assert!(
        none.code == 1 && none.stderr.contains("--mcp-from"),
        "{}",
        none.stderr
    );
    let wrong = run(&["list", "--mcp-from", "nowhere"]);
    assert!(
        wrong.code == 2 && wrong.stderr.contains("cursor-project"),
        "{}",
        wrong.stderr
    );
    let tools = run(&[&["tools", "fake"], &from[..]].concat());
    assert_eq!(tools.code, 0, "{}", tools.stderr);
    assert!(tools.stdout.contains("fake_echo ") && tools.stdout.contains(" the echo tool\n"));
    let all = run(&[&["tools", "--json"], &from[..]].concat());
    assert_eq!(all.code, 1);
    let json: Value = serde_json::from_str(&all.stdout).unwrap();
    assert_eq!(json["tools"][0]["name"], "fake_echo");
    assert!(
        all.stderr.contains("error: the MCP server `dead`"),
        "{}",
        all.stderr
    );
    let call = |rest: &[&str]| run(&[&["call", "fake"], rest, &from[..]].concat());
    let said = call(&["echo", r#"{"text": "hi"}"#]);
    assert_eq!(
        (said.code, said.stdout.as_str()),
        (0, "hi\n"),
        "{}",
        said.stderr
    );
    let said = call(&["fail", "--json"]);
    assert_eq!(said.code, 1);
    assert_eq!(
        serde_json::from_str::<Value>(&said.stdout).unwrap()["isError"],
        true
    );
    assert_eq!(call(&["echo", "no json"]).code, 2);
    let died = call(&["die"]);
    assert!(
        died.code == 1 && died.stderr.contains("a bug in the server"),
        "{}",
        died.stderr
    );
    let unknown = run(&[&["call", "nobody", "x"], &from[..]].concat());
    assert!(
        unknown.code == 1 && unknown.stderr.contains("hint: "),
        "{}",
        unknown.stderr
    );
}

#[tokio::test]
async fn no_server_outlives_us() {
    let dir = tempfile::tempdir().unwrap();
    let pids = dir.path().join("pids");
    let script = format!(
        "echo $$ > {0}; sleep 1000 & echo $! >> {0}; exec {1} good",
        pids.display(),
        fake_mcp().display()
    );
    let stubborn = McpServerConfig {
        transport: Ok(McpTransport::Command {
            program: "/bin/sh".to_owned(),
            args: vec!["-c".to_owned(), format!("trap '' TERM; {script}")],
            env: Vec::new(),
            cwd: None,
        }),
        ..config("stubborn", "")
    };
    let servers = servers(vec![stubborn], LIMITS);
    assert!(!servers.tools().await.is_empty(), "{:?}", servers.health());
    let all = read_pids(&pids);
    assert_eq!(all.len(), 2);
    servers.close().await;
    wait_until("the end of the server", || {
        all.iter().all(|pid| !process_exists(*pid))
    })
    .await;
}

fn read_pids(file: &Path) -> Vec<u32> {
    let text = std::fs::read_to_string(file).unwrap();
    text.lines().map(|line| line.parse().unwrap()).collect()
}
