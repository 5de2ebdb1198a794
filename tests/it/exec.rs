//! Tools that the server executes, in both carriers.

use std::{fs, num::NonZeroU32, path::Path, time::Duration};

use open_cursor::{
    agent::Serving,
    engine::{Exec, ExecTools, Turns},
    hands::{Toolbox, ToolboxSetup, mcp::McpLimits},
    sandbox::fence::FenceMode,
};
use serde_json::{Value, json};

use crate::support::{
    Answer, Setup, TestServer, fake_bridge, golden, process_exists, user, wait_until,
};

/// A server that executes tools, and the home of these.
struct Executing {
    server: TestServer,
    home: tempfile::TempDir,
}

/// What a test may choose.
#[derive(Clone, Copy)]
struct Choice {
    tools: &'static str,
    confirm: &'static [&'static str],
    network: bool,
    steps: u32,
    parked: bool,
}

const ALL: Choice = Choice {
    tools: "all",
    confirm: &[],
    network: false,
    steps: 50,
    parked: false,
};

const PARKED: Choice = Choice {
    parked: true,
    ..ALL
};

impl Executing {
    async fn start(choice: Choice) -> Self {
        Self::with(choice, |_| {}).await
    }

    async fn with(choice: Choice, change: impl FnOnce(&mut Setup)) -> Self {
        let home = tempfile::tempdir().unwrap();
        let private = ["HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"]
            .map(|name| (name.into(), home.path().as_os_str().to_owned()));
        let secret = ("CURSOR_API_KEY".into(), "key_of_the_user".into());
        let ours = |name: &std::ffi::OsString| private.iter().all(|(own, _)| own != name);
        let toolbox = Toolbox::open(ToolboxSetup {
            tools: choice.tools.parse::<ExecTools>().unwrap().0,
            network: choice.network,
            fence: FenceMode::Auto,
            program: env!("CARGO_BIN_EXE_open-cursor").into(),
            env: std::env::vars_os()
                .filter(|(name, _)| ours(name))
                .chain(private.clone())
                .chain([secret])
                .collect(),
            workspace: None,
            mcp: Vec::new(),
            mcp_limits: McpLimits::default(),
        });
        let exec = Exec {
            toolbox: toolbox.await.unwrap(),
            confirm: choice.confirm.iter().map(ToString::to_string).collect(),
            max_steps: NonZeroU32::new(choice.steps).unwrap(),
        };
        let server = TestServer::with(|setup| {
            setup.engine.exec = Some(exec);
            if choice.parked {
                setup.engine.turns = Turns::Auto;
                setup.agent.serve_tools = Some(Serving {
                    listed_within: Duration::from_secs(60),
                    ..Serving::default()
                });
            }
            change(setup);
        });
        Self {
            server: server.await,
            home,
        }
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.server.workspace.path().join(name)
    }

    /// Asks an agent that waits to make these calls, one after the other. What it says is what the
    /// tools answered.
    async fn calls(&self, calls: &[(&str, Value)]) -> String {
        text(&self.server.whole(&script(calls)).await)
    }

    /// Waits until no tool and no agent is left.
    async fn nothing_left(&self) {
        let engine = self.server.app.engine();
        wait_until("the end of all turns", || engine.running() == 0).await;
        wait_until("the end of all agents", || self.server.agents().is_empty()).await;
        wait_until("the end of all tools", || {
            tools_of(self.home.path()).is_empty()
        })
        .await;
    }
}

/// The processes whose home this is.
fn tools_of(home: &Path) -> Vec<u32> {
    let home = home.to_str().unwrap();
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let of_home = processes.filter_map(|process| {
        let environ = fs::read(process.path().join("environ")).ok()?;
        let pid = process.file_name().to_str()?.parse().ok()?;
        (String::from_utf8_lossy(&environ).contains(home) && process_exists(pid)).then_some(pid)
    });
    of_home.collect()
}

fn script(calls: &[(&str, Value)]) -> Value {
    let steps = calls
        .iter()
        .map(|(tool, arguments)| json!({"call": {"tool": tool, "arguments": arguments}}));
    let steps: Vec<Value> = steps.collect();
    user("fake-mcp-script", &format!("go\n{}", json!(steps)))
}

fn text(answer: &Answer) -> String {
    let message = answer.message();
    assert!(message.get("tool_calls").is_none(), "{message}");
    message["content"].as_str().unwrap().to_owned()
}

fn refused(answer: &Answer, param: &str) -> String {
    assert_eq!(answer.status, 400, "{}", answer.body);
    let error = &answer.json()["error"];
    assert_eq!(error["param"], param, "{error}");
    error["message"].as_str().unwrap().to_owned()
}

fn deploy() -> Value {
    json!({"type": "function", "function": {"name": "deploy", "parameters":
        {"type": "object", "properties": {"to": {"type": "string"}}}}})
}

#[tokio::test]
async fn a_native_call_is_executed_and_the_answer_goes_on() {
    let it = Executing::start(ALL).await;
    let mut request = user("fake-tool-shell", "go");
    request["x_cursor"] = true.into();
    let stream = it.server.stream(&request).await;
    assert_eq!(stream.text, "Calling a tool.\n\nThe tool has answered.");
    assert_eq!(stream.finish_reason.as_deref(), Some("stop"));
    assert!(stream.tool_calls.is_empty());
    let activity = json!([{"tool": "bash", "outcome": "success"}]);
    assert_eq!(stream.x_cursor.unwrap()["activity"], activity);
    // The second run's own count, and an estimate of the first one.
    let usage = stream.usage.unwrap();
    assert!(usage["prompt_tokens"].as_u64().unwrap() > 207, "{usage}");
    assert!(usage["completion_tokens"].as_u64().unwrap() > 12, "{usage}");
    let whole = it.server.whole(&request).await;
    assert_eq!(text(&whole), stream.text);
    assert_eq!(whole.json()["x_cursor"]["activity"], activity);
    it.nothing_left().await;
}

#[tokio::test]
async fn an_edit_in_the_agents_view_becomes_one_of_the_real_file() {
    let it = Executing::start(ALL).await;
    fs::write(it.file("fake-edit.txt"), "one\ntwo\nthree\n").unwrap();
    text(&it.server.whole(&user("fake-edit", "go")).await);
    let edited = fs::read_to_string(it.file("fake-edit.txt")).unwrap();
    assert_eq!(edited, "one\ntwo, changed\nthree\n");
}

#[tokio::test]
async fn a_waiting_run_is_given_the_results_of_many_calls() {
    let it = Executing::start(PARKED).await;
    fs::write(it.file("a.txt"), "alpha\n").unwrap();
    fs::write(it.file("p.png"), b"\x89PNG").unwrap();
    let said = it
        .calls(&[
            ("ls", json!({})),
            ("bash", json!({"command": "cat a.txt; pwd"})),
            (
                "edit",
                json!({"filePath": "a.txt", "oldString": "alpha", "newString": "beta"}),
            ),
            ("read", json!({"filePath": "a.txt"})),
            ("read", json!({"filePath": "p.png"})),
            ("bash", json!({"command": "exit 7"})),
            ("grep", json!({"pattern": "be.a"})),
        ])
        .await;
    let workspace = it.server.workspace.path().canonicalize().unwrap();
    let expected = format!(
        "ls: a.txt\np.png\n\nbash: alpha\n{}\n\nedit: Changed a.txt in 1 place.\n\
         read:      1\tbeta\n\nread: p.png: a picture of 4 bytes (image/png, 8 characters)\n\
         bash failed: Exit code 7\n(no output)\ngrep: a.txt:1: beta\n",
        workspace.display()
    );
    assert_eq!(said.trim_end(), expected.trim_end());
    it.nothing_left().await;
}

#[tokio::test]
async fn usage_is_the_whole_runs() {
    let it = Executing::start(PARKED).await;
    let request = script(&[("ls", json!({})), ("ls", json!({"path": "."}))]);
    let stream = it.server.stream(&request).await;
    let usage = stream.usage.unwrap();
    assert_eq!(usage["prompt_tokens"], 207, "{usage}");
    assert_eq!(usage["completion_tokens"], 12, "{usage}");
    assert_eq!(it.server.app.engine().parked(), 0);
}

#[tokio::test]
async fn activity_is_told_at_once_if_asked_for() {
    let it = Executing::start(PARKED).await;
    let mut request = script(&[("ls", json!({})), ("read", json!({"filePath": "none"}))]);
    request["x_cursor"] = json!({"activity": true});
    let whole = it.server.whole(&request).await;
    let activity = |tool: &str, outcome: &str| json!({"tool": tool, "outcome": outcome});
    let all = [activity("ls", "success"), activity("read", "error")];
    assert_eq!(whole.json()["x_cursor"]["activity"], json!(all));
    let streamed = it.server.stream_status(&request).await;
    let chunks = streamed
        .body
        .lines()
        .filter_map(|line| line.strip_prefix("data: {"));
    let chunks: Vec<Value> = chunks
        .map(|line| serde_json::from_str(&format!("{{{line}")).unwrap())
        .collect();
    let told: Vec<&Value> = chunks
        .iter()
        .filter_map(|chunk| chunk["x_cursor"].get("activity"))
        .collect();
    assert_eq!(told, [&json!([all[0]]), &json!([all[1]])]);
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    for wrong in [
        json!({"activity": "yes"}),
        json!({"tools": "some"}),
        json!("yes"),
    ] {
        request["x_cursor"] = wrong;
        let answer = it.server.whole(&request).await;
        assert_eq!(answer.status, 400, "{}", answer.body);
    }
}

#[tokio::test]
async fn by_default_nothing_is_changed() {
    let reading = Choice {
        tools: "read,grep,glob,ls,stat",
        ..ALL
    };
    let it = Executing::start(reading).await;
    let answer = it.server.whole(&user("fake-tool-shell", "go")).await;
    assert!(
        text(&answer).contains("The call was refused."),
        "{}",
        answer.body
    );
    fs::write(it.file("fake.txt"), "content\n").unwrap();
    let answer = it.server.whole(&user("fake-tool-read", "go")).await;
    assert!(text(&answer).ends_with("The tool has answered."));
    let echoed = text(&it.server.whole(&user("fake-echo", "go")).await);
    assert!(
        echoed.contains("No tool of this conversation changes files"),
        "{echoed}"
    );
    assert!(
        echoed.contains("## grep\n") && !echoed.contains("## bash\n"),
        "{echoed}"
    );
    let tools = it.server.get("/v1/tools").await.json();
    let names: Vec<&str> = tools["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["read", "grep", "glob", "ls", "stat"]);
    assert_eq!(tools["data"][0]["source"], "local");
    assert_eq!(tools["data"][0]["schema"]["required"][0], "filePath");
}

#[tokio::test]
async fn a_request_names_what_it_wants() {
    let it = Executing::start(Choice {
        confirm: &["shell"],
        ..ALL
    })
    .await;
    let offered = async |tools: Value, x_cursor: Value, headers: &[(&str, &str)]| {
        let mut request = user("fake-echo", "go");
        request["tools"] = tools;
        request["x_cursor"] = x_cursor;
        let answer = it.server.whole_with(headers, &request).await;
        if answer.status != 200 {
            return Err(refused(&answer, "tools"));
        }
        let text = text(&answer);
        let names = text.lines().filter_map(|line| line.strip_prefix("## "));
        Ok(names.map(str::to_owned).collect::<Vec<_>>().join(" "))
    };
    let allow = [("x-open-cursor-allow", "ls, bash")];
    let none: &[(&str, &str)] = &[];
    let but_bash = "read write edit multiedit grep glob ls stat mkdir rm";
    assert_eq!(
        offered(json!([]), json!(null), none).await.unwrap(),
        but_bash
    );
    assert_eq!(
        offered(json!(null), json!({"tools": "all"}), none)
            .await
            .unwrap(),
        but_bash
    );
    let all = offered(json!([]), json!({"tools": "all"}), &allow)
        .await
        .unwrap();
    assert_eq!(all, format!("bash {but_bash}"));
    assert_eq!(
        offered(json!(["read", "list_dir"]), json!(null), none)
            .await
            .unwrap(),
        "read ls"
    );
    assert_eq!(
        offered(json!(["ls"]), json!({"tools": ["rm"]}), none)
            .await
            .unwrap(),
        "rm ls"
    );
    assert_eq!(
        offered(json!([]), json!({"tools": []}), none)
            .await
            .unwrap(),
        ""
    );
    assert_eq!(
        offered(json!(["bash"]), json!(null), &allow).await.unwrap(),
        "bash"
    );
    assert_eq!(
        offered(json!([deploy(), "stat"]), json!(null), none)
            .await
            .unwrap(),
        "deploy stat"
    );
    let unconfirmed = offered(json!(["bash"]), json!(null), none)
        .await
        .unwrap_err();
    assert!(
        unconfirmed.contains("x-open-cursor-allow: bash"),
        "{unconfirmed}"
    );
    let unknown = offered(json!(["frobnicate"]), json!(null), none)
        .await
        .unwrap_err();
    assert!(unknown.contains("GET /v1/tools"), "{unknown}");
    // The client's own tool of that name stays the client's.
    let read = json!([{"type": "function", "function": {"name": "read", "description": "mine"}}]);
    let named = offered(read, json!({"tools": ["read"]}), none)
        .await
        .unwrap();
    assert_eq!(named, "read");
    let listed = it.server.get("/v1/tools").await.json();
    assert_eq!(listed["data"][0]["name"], "bash");
    assert_eq!(listed["data"][0]["needs_confirmation"], true);
    assert_eq!(listed["data"][1]["needs_confirmation"], false);
}

#[tokio::test]
async fn a_request_may_ask_for_less_and_not_for_more() {
    let header = "x-cursor-tool-loop";
    let it = Executing::start(ALL).await;
    let ask = async |server: &TestServer, mode: &str, tools: Value| {
        let mut request = user("fake-tool-shell", "go");
        request["tools"] = tools;
        server.whole_with(&[(header, mode)], &request).await
    };
    let bash = json!([{"type": "function", "function": {"name": "bash", "parameters":
        {"type": "object", "properties": {"command": {"type": "string"}}}}}]);
    let ours = ask(&it.server, "proxy-exec", json!([])).await;
    assert!(text(&ours).ends_with("The tool has answered."));
    let clients = ask(&it.server, "opencode", bash.clone()).await;
    assert_eq!(
        clients.message()["tool_calls"][0]["function"]["name"],
        "bash"
    );
    for (mode, tools) in [
        ("opencode", json!([])),
        ("off", bash.clone()),
        ("off", json!([])),
    ] {
        let answer = ask(&it.server, mode, tools).await;
        assert!(text(&answer).ends_with("The call was refused."), "{mode}");
    }
    let wrong = refused(&ask(&it.server, "on", json!([])).await, header);
    assert!(wrong.contains("opencode, proxy-exec, off"), "{wrong}");
    refused(&ask(&it.server, "opencode", json!(["bash"])).await, "tools");

    let plain = TestServer::start().await;
    let more = refused(&ask(&plain, "proxy-exec", json!([])).await, header);
    assert!(more.contains("--tool-loop-mode opencode"), "{more}");
    refused(
        &plain
            .whole(&{
                let mut request = user("fake-ok", "go");
                request["tools"] = json!(["bash"]);
                request
            })
            .await,
        "tools",
    );
    assert_eq!(plain.get("/v1/tools").await.json()["data"], json!([]));
}

#[tokio::test]
async fn without_a_workspace_there_is_nothing_to_work_on() {
    let it = Executing::with(ALL, |setup| setup.engine.workspaces.fixed = None).await;
    let answer = it.server.whole(&user("fake-tool-shell", "go")).await;
    assert!(text(&answer).ends_with("The call was refused."));
    let mut request = user("fake-tool-shell", "go");
    request["tools"] = json!(["bash"]);
    let message = refused(&it.server.whole(&request).await, "tools");
    assert!(message.contains("x-cursor-workspace"), "{message}");
}

#[tokio::test]
async fn the_clients_calls_and_ours_in_one_answer() {
    for parked in [true, false] {
        let it = Executing::start(Choice { parked, ..ALL }).await;
        let mut request = if parked {
            script(&[
                (
                    "bash",
                    json!({"command": "echo ours > made; echo from-the-server"}),
                ),
                ("deploy", json!({"to": "moon"})),
                ("bash", json!({"command": "echo again"})),
            ])
        } else {
            let call = |tool: &str, arguments: Value| {
                format!(
                    "<tool_call>{}</tool_call>\n",
                    json!({"name": tool, "arguments": arguments})
                )
            };
            let calls = [
                call(
                    "bash",
                    json!({"command": "echo ours > made; echo from-the-server"}),
                ),
                call("deploy", json!({"to": "moon"})),
            ];
            it.server.say(&["Both.\n", &calls.concat()]);
            user("fake-play", "go")
        };
        request["tools"] = json!([deploy()]);
        let answer = it.server.whole(&request).await;
        let message = answer.message();
        let calls = message["tool_calls"].as_array().unwrap();
        assert_eq!(calls.len(), 1, "{message}");
        assert_eq!(calls[0]["function"]["name"], "deploy");
        assert_eq!(fs::read_to_string(it.file("made")).unwrap(), "ours\n");

        let messages = request["messages"].as_array_mut().unwrap();
        messages.push(message.clone());
        messages.push(json!({"role": "tool", "tool_call_id": calls[0]["id"], "content": "landed"}));
        if !parked {
            // A fresh run is told what the client does not know.
            request["model"] = "fake-echo".into();
        }
        let answer = it.server.whole(&request).await;
        let said = text(&answer);
        assert!(
            said.contains("from-the-server") && said.contains("landed"),
            "{said}"
        );
        assert!(!parked || said.contains("again"), "{said}");
        let origin = if parked { "resumed" } else { "fresh" };
        assert_eq!(answer.headers["x-open-cursor-run"], origin);
        it.nothing_left().await;
    }
}

#[tokio::test]
async fn a_loop_is_stopped_and_so_are_too_many_rounds() {
    let it = Executing::start(ALL).await;
    it.server.say(&[
        "<tool_call>{\"name\": \"bash\", \"arguments\": {\"command\": \"exit 1\"}}</tool_call>\n",
    ]);
    let stream = it.server.stream(&user("fake-play", "go")).await;
    assert_eq!(stream.finish_reason.as_deref(), Some("stop"));
    assert!(
        stream.text.contains("after 3 times with the same outcome"),
        "{}",
        stream.text
    );

    let it = Executing::start(PARKED).await;
    let said = it.server.whole(&user("fake-mcp-loop", "go")).await;
    assert!(
        text(&said).contains("with the same outcome"),
        "{}",
        said.body
    );

    for parked in [true, false] {
        let it = Executing::start(Choice {
            steps: 2,
            parked,
            ..ALL
        })
        .await;
        let request = if parked {
            script(
                &(1..9)
                    .map(|n| ("bash", json!({"command": format!("echo {n} >> log")})))
                    .collect::<Vec<_>>(),
            )
        } else {
            it.server.say(&["<tool_call>{\"name\": \"bash\", \"arguments\": {\"command\": \"date +%N >> log; date +%N\"}}</tool_call>\n"]);
            user("fake-play", "go")
        };
        let said = text(&it.server.whole(&request).await);
        assert!(
            said.ends_with(
                "2 rounds of tool calls were executed for this answer (--exec-max-steps)."
            ),
            "{said}"
        );
        assert_eq!(
            fs::read_to_string(it.file("log")).unwrap().lines().count(),
            2
        );
        it.nothing_left().await;
    }
}

#[tokio::test]
async fn a_demanded_form_is_that_of_the_last_text() {
    let it = Executing::start(PARKED).await;
    let calls = json!([
        {"say": "First I look. "}, {"call": {"tool": "ls", "arguments": {}}},
        {"call": {"tool": "bash", "arguments": {"command": "true"}}},
    ]);
    let mut request = user("fake-mcp-script", &format!("go\n{calls}"));
    request["tool_choice"] = "required".into();
    request["tools"] = json!(["ls", "bash"]);
    let said = text(&it.server.whole(&request).await);
    assert!(said.starts_with("First I look."), "a call was made: {said}");
}

#[tokio::test]
async fn tools_see_no_key_and_no_network() {
    for network in [false, true] {
        let it = Executing::start(Choice { network, ..PARKED }).await;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let connect = format!(
            "python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", {port}), 5); \
             print(\"connected\")' 2>&1 | tail -1"
        );
        let said = it
            .calls(&[
                ("bash", json!({"command": connect})),
                ("bash", json!({"command": "env"})),
            ])
            .await;
        assert_eq!(said.contains("bash: connected"), network, "{said}");
        assert!(said.contains("TMPDIR=") && said.contains("PATH="), "{said}");
        assert!(
            !said.contains("key_of_the_user") && !said.contains("CURSOR"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn hostile_arguments_do_nothing_outside() {
    let it = Executing::start(PARKED).await;
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    fs::write(&secret, "top secret").unwrap();
    std::os::unix::fs::symlink(outside.path(), it.file("link")).unwrap();
    let (secret, dir) = (secret.to_str().unwrap(), outside.path().to_str().unwrap());
    let up = "../".repeat(30) + &secret[1..];
    let mut calls = Vec::new();
    for path in [secret, &up, "link/secret"] {
        calls.push(("read", json!({"filePath": path})));
        calls.push(("grep", json!({"pattern": "top", "path": path})));
        calls.push(("stat", json!({"path": path})));
        calls.push(("write", json!({"filePath": path, "content": "x"})));
        calls.push((
            "edit",
            json!({"filePath": path, "oldString": "top", "newString": "x"}),
        ));
        calls.push(("rm", json!({"filePath": path, "recursive": true})));
    }
    for path in [dir, "link", "/", ".."] {
        calls.push(("ls", json!({"path": path})));
        calls.push(("glob", json!({"pattern": "*", "path": path})));
        calls.push(("mkdir", json!({"path": format!("{path}/made")})));
    }
    calls.push((
        "bash",
        json!({"command": format!("echo x > {secret}; echo x > link/new; rm -rf {dir}")}),
    ));
    let said = it.calls(&calls).await;
    assert!(!said.contains("top secret"), "{said}");
    assert_eq!(
        said.matches(" failed: permission denied: ").count(),
        calls.len() - 1,
        "{said}"
    );
    assert_eq!(fs::read_to_string(secret).unwrap(), "top secret");
    assert_eq!(fs::read_dir(dir).unwrap().count(), 1);
    it.nothing_left().await;
}

#[tokio::test]
async fn floods_and_bombs_end() {
    let it = Executing::start(PARKED).await;
    let said = it
        .calls(&[
            (
                "bash",
                json!({"command": "head -c 1000000000 /dev/zero; echo; echo the end"}),
            ),
            (
                "bash",
                json!({"command": "bomb() { bomb | bomb & }; bomb; sleep 60", "timeout": 1500}),
            ),
            (
                "bash",
                json!({"command": "trap '' TERM; sleep 100", "timeout": 200}),
            ),
            (
                "bash",
                json!({"command": "(setsid sleep 1000 &) ; echo left"}),
            ),
            ("bash", json!({"command": "echo still alive"})),
        ])
        .await;
    assert!(said.len() < 500_000, "{}", said.len());
    assert!(said.contains("the end") && said.contains("bytes are left out here"));
    assert_eq!(
        said.matches("command timed out").count(),
        2,
        "{}",
        &said[said.len() - 2000..]
    );
    assert!(said.ends_with("bash: still alive\n") || said.ends_with("bash: still alive"));
    it.nothing_left().await;
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_tools_along() {
    for parked in [true, false] {
        let it = Executing::start(Choice { parked, ..ALL }).await;
        let command = "touch begun; sleep 1000";
        let request = if parked {
            script(&[("bash", json!({"command": command}))])
        } else {
            it.server.say(&[&format!(
                "<tool_call>{}</tool_call>\n",
                json!({"name": "bash", "arguments": {"command": command}})
            )]);
            user("fake-play", "go")
        };
        let response = tokio::spawn({
            let addr = it.server.addr;
            async move {
                open_cursor::http::client::send(
                    addr,
                    "/v1/chat/completions",
                    Some(request.to_string()),
                )
                .await
                .map(drop)
            }
        });
        wait_until("the command", || it.file("begun").exists()).await;
        response.abort();
        it.nothing_left().await;
    }
}

#[tokio::test]
async fn calls_that_only_read_run_side_by_side() {
    let it = Executing::start(ALL).await;
    fs::write(it.file("a.txt"), "a\n").unwrap();
    fs::write(it.file("b.txt"), "b\n").unwrap();
    let mut request = user("fake-parallel", "go");
    request["x_cursor"] = true.into();
    let stream = it.server.stream(&request).await;
    assert!(
        stream.text.ends_with("The tool has answered."),
        "{}",
        stream.text
    );
    let activity = stream.x_cursor.unwrap()["activity"].clone();
    let tools: Vec<&str> = activity
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a["tool"].as_str().unwrap())
        .collect();
    assert_eq!(tools, ["read", "read", "bash"]);
}

#[tokio::test]
async fn the_bridge_is_given_results_too() {
    let it = Executing::with(PARKED, |setup| {
        setup.program = "bridge".into();
        setup.key = "key_good";
        setup.agent.bridge = Some(fake_bridge().into());
    })
    .await;
    fs::write(it.file("a.txt"), "alpha\n").unwrap();
    let said = it
        .calls(&[
            ("bash", json!({"command": "cat a.txt"})),
            ("write", json!({"filePath": "b.txt", "content": "beta"})),
        ])
        .await;
    assert!(
        said.contains("alpha") && said.contains("Wrote 4 bytes to b.txt."),
        "{said}"
    );
    assert_eq!(fs::read_to_string(it.file("b.txt")).unwrap(), "beta");
}

/// What a model is told, and what a client sees, byte for byte.
#[tokio::test]
async fn prompt_and_stream_are_as_recorded() {
    let it = Executing::start(Choice {
        tools: "read,ls",
        ..ALL
    })
    .await;
    let workspace = it.server.workspace.path().canonicalize().unwrap();
    let prompt = text(
        &it.server
            .whole(&user("fake-echo", "Which files are here?"))
            .await,
    );
    golden(
        "exec-prompt.txt",
        &prompt.replace(workspace.to_str().unwrap(), "/workspace"),
    );

    let it = Executing::start(PARKED).await;
    fs::write(it.file("a.txt"), "alpha\n").unwrap();
    let mut request = script(&[("ls", json!({})), ("read", json!({"filePath": "none"}))]);
    request["x_cursor"] = json!({"activity": true});
    let body = it.server.stream_status(&request).await.body;
    let lines = body.lines().map(|line| {
        let Some(json) = line.strip_prefix("data: {") else {
            return format!("{line}\n");
        };
        let mut chunk: Value = serde_json::from_str(&format!("{{{json}")).unwrap();
        chunk["id"] = "chatcmpl-1".into();
        chunk["created"] = 1.into();
        format!("data: {chunk}\n")
    });
    golden("exec-stream.sse", &lines.collect::<String>());
}

#[tokio::test]
async fn changes_of_a_view_are_made_here_and_the_last_word_follows() {
    let it = Executing::with(ALL, |setup| {
        setup.engine.turns = Turns::ParkedView;
        setup.engine.boundary.native_reads = true;
    })
    .await;
    let health = it.server.get("/health").await.json();
    if health["fence"]["view"]["state"] != "enforced" {
        return;
    }
    fs::write(it.file("fake-edit.txt"), "one\n").unwrap();
    let said = text(&it.server.whole(&user("fake-changes-net", "go")).await);
    assert_eq!(said, "Step 2. ");
    let edited = fs::read_to_string(it.file("fake-edit.txt")).unwrap();
    assert_eq!(edited, "one\nline 1\n");
    assert_eq!(fs::read_to_string(it.file("made.txt")).unwrap(), "made\n");
    assert_eq!(it.server.app.engine().starts(), 1);
    it.nothing_left().await;
}
