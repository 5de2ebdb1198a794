//! Parked runs: the client's tools are real tools of the agent, which waits while the client
//! executes them, and the next request continues the same run.

use std::time::Duration;

use futures::future::join;
use open_cursor::{agent::Serving, engine::Turns, sandbox::fence::FenceMode};
use serde_json::{Value, json};

use crate::{
    support::{Answer, Setup, TestServer, user, wait_until},
    tools::opencode_tools,
};

/// A server whose runs wait.
pub async fn parking() -> TestServer {
    parking_with(|_| {}).await
}

pub async fn parking_with(change: impl FnOnce(&mut Setup)) -> TestServer {
    TestServer::with(|setup| {
        setup.engine.turns = Turns::Auto;
        // This machine may be busy with other tests.
        setup.agent.serve_tools = Some(Serving {
            listed_within: Duration::from_secs(60),
            ..Serving::default()
        });
        change(setup);
    })
    .await
}

/// The agents whose runs wait.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Print,
    Bridge,
}

impl Kind {
    async fn server(self, change: impl FnOnce(&mut Setup)) -> TestServer {
        match self {
            Self::Print => parking_with(change).await,
            Self::Bridge => TestServer::bridge(change).await,
        }
    }
}

/// The rules that hold for every agent, each a test of its own for both.
macro_rules! for_both {
    ($($case:ident)*) => {
        mod print {
            $(#[tokio::test]
            async fn $case() {
                super::$case(super::Kind::Print).await;
            })*
        }
        mod bridge {
            $(#[tokio::test]
            async fn $case() {
                super::$case(super::Kind::Bridge).await;
            })*
        }
    };
}

for_both! {
    one_start_for_a_whole_loop
    streamed_and_with_text_between
    announced_calls_go_out_together_and_scattered_ones_are_not_lost
    parallel_calls_keep_the_order_of_the_model
    results_that_miss_are_asked_for_again
    what_the_user_says_beside_results_reaches_the_agent
    the_same_request_again_gets_the_same_answer
    what_is_not_the_continuation_is_a_fresh_run
    a_parked_run_does_not_keep_others_from_running
    one_call_at_a_time_and_no_tools_at_all
    a_loop_is_stopped
    every_dialect_continues_a_run
    hanging_up
    stopping_ends_parked_runs
}

/// A client's conversation with a server.
pub struct Talk<'a> {
    pub server: &'a TestServer,
    pub body: Value,
    pub key: &'static str,
    /// The client's name for it.
    pub name: Option<&'static str>,
}

/// One answer of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    /// The response header: where the answer comes from.
    pub run: String,
    pub text: String,
    /// Ids of the calls.
    pub calls: Vec<String>,
    pub finish: String,
    pub usage: Value,
}

impl<'a> Talk<'a> {
    pub fn new(server: &'a TestServer, model: &str) -> Self {
        let mut body = user(model, "go");
        body["tools"] = opencode_tools();
        Self {
            server,
            body,
            key: "Bearer me",
            name: None,
        }
    }

    pub async fn send(&self) -> Answer {
        let mut headers = vec![("authorization", self.key)];
        headers.extend(self.name.map(|name| ("x-session-id", name)));
        self.server.whole_with(&headers, &self.body).await
    }

    /// Sends the conversation and adds the answer to it.
    pub async fn ask(&mut self) -> Said {
        let answer = self.send().await;
        self.take(&answer)
    }

    /// Adds an answer to the conversation.
    fn take(&mut self, answer: &Answer) -> Said {
        let said = said(answer);
        let calls = said.calls.iter().map(|id| {
            json!({"id": id, "type": "function", "function": {"name": "bash", "arguments": "{}"}})
        });
        let calls: Vec<Value> = calls.collect();
        let mut message = json!({"role": "assistant", "content": said.text});
        if !calls.is_empty() {
            message["tool_calls"] = calls.into();
        }
        self.push(message);
        said
    }

    pub fn push(&mut self, message: Value) {
        self.body["messages"].as_array_mut().unwrap().push(message);
    }

    pub fn result(&mut self, id: &str, content: &str) {
        self.push(json!({"role": "tool", "tool_call_id": id, "content": content}));
    }
}

pub fn said(answer: &Answer) -> Said {
    assert_eq!(answer.status, 200, "{}", answer.body);
    let body = answer.json();
    let message = &body["choices"][0]["message"];
    let calls = message["tool_calls"].as_array().into_iter().flatten();
    Said {
        run: answer.headers["x-open-cursor-run"]
            .to_str()
            .unwrap()
            .to_owned(),
        text: message["content"].as_str().unwrap_or_default().to_owned(),
        calls: calls
            .map(|call| call["id"].as_str().unwrap().to_owned())
            .collect(),
        finish: body["choices"][0]["finish_reason"]
            .as_str()
            .unwrap()
            .to_owned(),
        usage: body["usage"].clone(),
    }
}

/// Waits until no run is parked and no process of one is left.
pub async fn nothing_left(server: &TestServer) {
    let engine = server.app.engine();
    wait_until("the end of all runs", || {
        engine.parked() == 0 && engine.running() == 0
    })
    .await;
    wait_until("the end of all agents", || {
        // The bridge serves the next run.
        let is_bridge = |agent: &String| agent.contains("fake-bridge");
        server.agents().iter().all(is_bridge)
    })
    .await;
}

async fn one_start_for_a_whole_loop(agent: Kind) {
    let server = agent.server(|_| {}).await;
    let mut talk = Talk::new(&server, "fake-mcp-three");
    let mut spent = 0;
    for step in 0..3 {
        let said = talk.ask().await;
        assert_eq!(said.run, if step == 0 { "fresh" } else { "resumed" });
        assert_eq!((said.finish.as_str(), said.calls.len()), ("tool_calls", 1));
        assert!(said.calls[0].starts_with("call_") && said.calls[0].len() == 37);
        assert_eq!(server.app.engine().parked(), 1);
        assert_eq!(
            server.app.engine().running(),
            0,
            "a parked run has no permit"
        );
        spent += said.usage["prompt_tokens"].as_u64().unwrap();
        talk.result(&said.calls[0], &format!("result {step}"));
    }
    let last = talk.ask().await;
    assert_eq!(
        (last.run.as_str(), last.finish.as_str()),
        ("resumed", "stop")
    );
    for step in 0..3 {
        assert_eq!(
            last.text.matches(&format!("result {step}")).count(),
            1,
            "{last:?}"
        );
    }
    assert!(spent > 0 && !last.usage["prompt_tokens"].is_null());
    let carrier = match agent {
        Kind::Print => "mcp",
        Kind::Bridge => "bridge",
    };
    assert_eq!(server.get("/health").await.json()["carrier"], carrier);
    nothing_left(&server).await;
}

async fn streamed_and_with_text_between(agent: Kind) {
    let server = agent.server(|_| {}).await;
    let mut body = user("fake-mcp-text", "go");
    body["tools"] = opencode_tools();
    let mut texts = Vec::new();
    for _ in 0..2 {
        let stream = server.stream(&body).await;
        texts.push(stream.text.clone());
        let calls = &stream.tool_calls;
        let id = calls[0]["id"].as_str().unwrap();
        let messages = body["messages"].as_array_mut().unwrap();
        messages.push(json!({"role": "assistant", "content": stream.text, "tool_calls": calls}));
        messages.push(json!({"role": "tool", "tool_call_id": id, "content": "done"}));
    }
    let last = server.stream(&body).await;
    assert_eq!(texts, ["One. ", "Two. "]);
    assert!(last.text.starts_with("Three. "), "{}", last.text);
    assert!(last.calls().is_empty());
    nothing_left(&server).await;
}

async fn announced_calls_go_out_together_and_scattered_ones_are_not_lost(agent: Kind) {
    let server = agent.server(|_| {}).await;
    let mut talk = Talk::new(&server, "fake-mcp-announced");
    assert_eq!(talk.ask().await.calls.len(), 3);
    for model in ["fake-mcp-parallel", "fake-mcp-late"] {
        let mut talk = Talk::new(&server, model);
        let wanted = if model == "fake-mcp-late" { 3 } else { 4 };
        let mut seen = Vec::new();
        let last = loop {
            let said = talk.ask().await;
            if said.finish == "stop" {
                break said;
            }
            assert!(seen.is_empty() || said.run == "resumed");
            for id in said.calls {
                assert!(!seen.contains(&id), "{id} came twice");
                talk.result(&id, &format!("<{id}>"));
                seen.push(id);
            }
        };
        assert_eq!(seen.len(), wanted, "{model}");
        for id in seen {
            assert_eq!(
                last.text.matches(&format!("<{id}>")).count(),
                1,
                "{}",
                last.text
            );
        }
    }
    server.app.engine().drain();
    nothing_left(&server).await;
}

async fn parallel_calls_keep_the_order_of_the_model(agent: Kind) {
    let server = agent.server(|_| {}).await;
    let answer = Talk::new(&server, "fake-mcp-crossed").send().await.json();
    let calls = answer["choices"][0]["message"]["tool_calls"].as_array();
    let arguments = calls.unwrap().iter().map(|call| &call["function"]);
    let arguments: Vec<_> = arguments.map(|it| it["arguments"].to_string()).collect();
    let mut in_order = arguments.clone();
    in_order.sort_unstable();
    assert_eq!(
        (arguments.len(), &arguments),
        (3, &in_order),
        "they came as 3, 1, 2"
    );
    server.app.engine().drain();
    nothing_left(&server).await;
}

async fn results_that_miss_are_asked_for_again(agent: Kind) {
    let server = agent.server(|_| {}).await;
    let mut talk = Talk::new(&server, "fake-mcp-announced");
    let first = talk.ask().await;
    talk.result(&first.calls[1], "second");
    let again = talk.ask().await;
    assert_eq!(again.run, "resumed");
    assert_eq!(
        again.calls,
        [first.calls[0].clone(), first.calls[2].clone()],
        "the same ids"
    );
    talk.result(&first.calls[0], "first");
    talk.result(&first.calls[2], "third");
    let last = talk.ask().await;
    assert_eq!(
        (last.run.as_str(), last.finish.as_str()),
        ("resumed", "stop")
    );
    for text in ["first", "second", "third"] {
        assert_eq!(last.text.matches(text).count(), 1, "{}", last.text);
    }
    nothing_left(&server).await;
}

async fn what_the_user_says_beside_results_reaches_the_agent(agent: Kind) {
    let server = agent.server(|_| {}).await;
    let mut talk = Talk::new(&server, "fake-mcp-one");
    let first = talk.ask().await;
    talk.result(&first.calls[0], "the result");
    talk.push(json!({"role": "user", "content": "and be quick"}));
    let last = talk.ask().await;
    assert_eq!(last.run, "resumed");
    assert!(last.text.contains("the result"), "{}", last.text);
    assert!(last.text.contains("and be quick"), "{}", last.text);
}

async fn the_same_request_again_gets_the_same_answer(agent: Kind) {
    let server = agent.server(|_| {}).await;
    let mut talk = Talk::new(&server, "fake-mcp-text");
    let first = talk.ask().await;
    talk.result(&first.calls[0], "once");
    let (one, two) = join(talk.send(), talk.send()).await;
    let (one, two) = (said(&one), said(&two));
    let mut origins = [one.run.as_str(), two.run.as_str()];
    origins.sort_unstable();
    assert_eq!(origins, ["replayed", "resumed"]);
    assert_eq!(
        (&one.text, &one.calls, &one.finish),
        (&two.text, &two.calls, &two.finish)
    );
    let third = said(&talk.send().await);
    assert_eq!((third.run.as_str(), &third.calls), ("replayed", &one.calls));
    // It is one run still.
    talk.ask().await;
    talk.result(&one.calls[0], "twice");
    let last = talk.ask().await;
    assert_eq!(last.run, "resumed");
    assert_eq!(last.text.matches("once").count(), 1, "{}", last.text);
    // Other results are not the same request.
    let messages = talk.body["messages"].as_array_mut().unwrap();
    messages.pop();
    messages.pop();
    talk.result(&one.calls[0], "thrice");
    assert_eq!(talk.ask().await.run, "fresh");
    nothing_left(&server).await;
}

async fn what_is_not_the_continuation_is_a_fresh_run(agent: Kind) {
    let server = agent
        .server(|setup| setup.engine.park_timeout = Duration::from_secs(3))
        .await;
    let parked = || server.app.engine().parked();

    // The conversation goes on without the results.
    let mut talk = Talk::new(&server, "fake-mcp-one");
    talk.ask().await;
    talk.push(json!({"role": "user", "content": "never mind"}));
    assert_eq!(talk.ask().await.run, "fresh");
    assert_eq!(parked(), 0, "the old run has ended");
    let mut talk = Talk::new(&server, "fake-mcp-one");
    talk.ask().await;
    let messages = talk.body["messages"].as_array_mut().unwrap();
    messages.truncate(1);
    messages.push(json!({"role": "user", "content": "forget what you called"}));
    assert_eq!(talk.ask().await.run, "fresh");
    assert_eq!(parked(), 1);

    // Somebody else has the ids.
    let mut talk = Talk::new(&server, "fake-mcp-one");
    let first = talk.ask().await;
    talk.result(&first.calls[0], "mine");
    talk.key = "Bearer you";
    assert_eq!(said(&talk.send().await).run, "fresh");
    talk.key = "Bearer me";
    assert_eq!(said(&talk.send().await).run, "resumed");

    // Ids that nobody knows, as after a restart.
    let mut talk = Talk::new(&server, "fake-mcp-one");
    talk.ask().await;
    talk.result("call_of_another_server", "x");
    let fresh = talk.ask().await;
    assert_eq!(
        (fresh.run.as_str(), fresh.text.as_str()),
        ("fresh", "The tool has answered.")
    );

    // Another model, and no tools any more, as in a summary.
    for change in [json!({"model": "fake-mcp-two"}), json!({"tools": null})] {
        let mut talk = Talk::new(&server, "fake-mcp-one");
        let first = talk.ask().await;
        talk.result(&first.calls[0], "x");
        for (key, value) in change.as_object().unwrap() {
            talk.body[key] = value.clone();
        }
        if talk.body["model"] == "fake-mcp-two" {
            talk.body["model"] = "fake-mcp-three".into();
        }
        assert_eq!(said(&talk.send().await).run, "fresh", "{change}");
    }

    // It waited for too long.
    let mut talk = Talk::new(&server, "fake-mcp-one");
    let first = talk.ask().await;
    wait_until("the park timeout", || parked() == 0).await;
    talk.result(&first.calls[0], "late");
    assert_eq!(talk.ask().await.run, "fresh");
    nothing_left(&server).await;
}

async fn a_parked_run_does_not_keep_others_from_running(agent: Kind) {
    let server = agent.server(|setup| setup.engine.limits.running = 1).await;
    let mut parent = Talk::new(&server, "fake-mcp-one");
    let first = parent.ask().await;
    let mut child = Talk::new(&server, "fake-mcp-three");
    for _ in 0..3 {
        let said = child.ask().await;
        child.result(&said.calls[0], "child");
    }
    assert_eq!(child.ask().await.finish, "stop");
    parent.result(&first.calls[0], "from the child");
    let last = parent.ask().await;
    assert_eq!(last.run, "resumed");
    assert!(last.text.contains("from the child"));
    nothing_left(&server).await;
}

#[tokio::test]
async fn an_agent_that_dies_or_gives_up_is_replaced() {
    let server = parking().await;
    for model in ["fake-mcp-dies", "fake-mcp-gives-up"] {
        let mut talk = Talk::new(&server, model);
        let first = talk.ask().await;
        let engine = server.app.engine();
        wait_until("the end of the parked run", || engine.parked() == 0).await;
        talk.result(&first.calls[0], "x");
        let said = talk.ask().await;
        assert_eq!(
            (said.run.as_str(), said.text.as_str()),
            ("fresh", "The tool has answered.")
        );
    }
    let mut talk = Talk::new(&server, "fake-mcp-dies-after");
    let first = talk.ask().await;
    talk.result(&first.calls[0], "x");
    let failed = talk.send().await;
    assert_eq!(failed.status, 502, "{}", failed.body);
    // The failure is not given again.
    let said = talk.ask().await;
    assert_eq!(
        (said.run.as_str(), said.text.as_str()),
        ("fresh", "The tool has answered.")
    );
    nothing_left(&server).await;
}

#[tokio::test]
async fn an_agent_that_does_not_take_the_tools_is_found_out() {
    for (model, asks_again) in [
        ("fake-mcp-blind", false),
        ("fake-mcp-init-only", false),
        ("fake-mcp-lists-too-late", false),
        ("fake-mcp-lists-late", true),
        ("fake-mcp-no-flag", true),
        ("fake-mcp-old-flag", true),
    ] {
        let server = parking_with(|setup| {
            // Between the 2 s of one scenario and the 8 s of another.
            setup.agent.serve_tools = Some(Serving {
                listed_within: Duration::from_secs(6),
                ..Serving::default()
            });
        })
        .await;
        let problem = || server.app.engine().agent().serving_problem();
        let mut talk = Talk::new(&server, model);
        let first = talk.ask().await;
        assert_eq!(
            (first.finish.as_str(), first.calls.len()),
            ("tool_calls", 1),
            "{model}"
        );
        assert!(!first.text.contains("I have no tools"), "{model}");
        talk.result(&first.calls[0], "x");
        let second = talk.ask().await;
        let run = if asks_again { "resumed" } else { "fresh" };
        assert_eq!(
            (second.run.as_str(), second.finish.as_str()),
            (run, "stop"),
            "{model}"
        );
        assert_eq!(problem().is_none(), asks_again, "{model}: {:?}", problem());
        nothing_left(&server).await;
    }
}

async fn one_call_at_a_time_and_no_tools_at_all(agent: Kind) {
    let server = agent.server(|_| {}).await;
    let mut talk = Talk::new(&server, "fake-mcp-announced");
    talk.body["parallel_tool_calls"] = false.into();
    let mut seen = Vec::new();
    for _ in 0..3 {
        let said = talk.ask().await;
        assert_eq!(said.calls.len(), 1);
        talk.result(&said.calls[0], &format!("<{}>", said.calls[0]));
        seen.extend(said.calls);
    }
    let last = talk.ask().await;
    assert_eq!(
        (last.run.as_str(), last.finish.as_str()),
        ("resumed", "stop")
    );
    for id in seen {
        assert_eq!(last.text.matches(&format!("<{id}>")).count(), 1);
    }
    let mut none = Talk::new(&server, "fake-mcp-one");
    none.body["tool_choice"] = "none".into();
    let said = none.ask().await;
    assert_eq!((said.finish.as_str(), said.calls.len()), ("stop", 0));
    nothing_left(&server).await;
}

#[tokio::test]
async fn a_native_change_is_counted() {
    // Behind the fence it fails.
    let server = parking_with(|setup| setup.agent.fence = FenceMode::Off).await;
    let mut talk = Talk::new(&server, "fake-mcp-breach");
    let first = talk.ask().await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    talk.result(&first.calls[0], "x");
    assert_eq!(talk.ask().await.finish, "stop");
    assert_eq!(server.app.engine().breaches(), 1);
    assert!(!server.workspace.path().join("breach.txt").exists());
    nothing_left(&server).await;
}

async fn a_loop_is_stopped(agent: Kind) {
    let server = agent.server(|_| {}).await;
    let mut talk = Talk::new(&server, "fake-mcp-loop");
    let mut rounds = 0;
    let last = loop {
        let raw = talk.send().await;
        let said = said(&raw);
        let message = raw.json()["choices"][0]["message"].clone();
        talk.push(message);
        if said.finish == "stop" {
            break said;
        }
        rounds += 1;
        assert!(rounds < 30, "the loop goes on");
        talk.result(&said.calls[0], "exit code 1: no such file");
    };
    assert!(last.text.contains("Stopped:"), "{}", last.text);
    nothing_left(&server).await;
}

#[tokio::test]
async fn a_repositorys_own_servers_are_neither_started_nor_changed() {
    let server = parking().await;
    let workspace = server.workspace.path();
    let config = workspace.join(".cursor/mcp.json");
    let trace = workspace.join("started");
    let text = json!({"mcpServers": {"evil": {
        "command": "touch",
        "args": [trace.to_str().unwrap()],
    }}})
    .to_string();
    std::fs::create_dir(workspace.join(".cursor")).unwrap();
    std::fs::write(&config, &text).unwrap();
    let mut talk = Talk::new(&server, "fake-mcp-one");
    let first = talk.ask().await;
    talk.result(&first.calls[0], "x");
    assert_eq!(talk.ask().await.run, "resumed");
    assert!(!trace.exists());
    assert_eq!(std::fs::read_to_string(&config).unwrap(), text);
}

async fn every_dialect_continues_a_run(agent: Kind) {
    let server = agent.server(|_| {}).await;
    let schema = json!({"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]});

    let mut body = json!({"model": "fake-mcp-one", "max_tokens": 100,
        "messages": [{"role": "user", "content": "go"}],
        "tools": [{"name": "Bash", "description": "runs", "input_schema": schema}]});
    let answer = server.post_to("/v1/messages", &body).await;
    let content = answer.json()["content"].clone();
    let call = content
        .as_array()
        .unwrap()
        .iter()
        .find(|part| part["type"] == "tool_use");
    let id = call.unwrap()["id"].clone();
    let messages = body["messages"].as_array_mut().unwrap();
    messages.push(json!({"role": "assistant", "content": content}));
    messages.push(json!({"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": id, "content": "by Messages"}]}));
    let answer = server.post_to("/v1/messages", &body).await;
    assert_eq!(answer.headers["x-open-cursor-run"], "resumed");
    assert!(answer.body.contains("by Messages"), "{}", answer.body);

    let mut body = json!({"model": "fake-mcp-one", "input": [{"role": "user", "content": "go"}],
        "tools": [{"type": "function", "name": "shell", "parameters": schema}]});
    let answer = server.post_to("/v1/responses", &body).await.json();
    let output = answer["output"].as_array().unwrap();
    let call = output
        .iter()
        .find(|item| item["type"] == "function_call")
        .unwrap();
    let input = body["input"].as_array_mut().unwrap();
    input.push(call.clone());
    input.push(json!({"type": "function_call_output", "call_id": call["call_id"], "output": "by Responses"}));
    let answer = server.post_to("/v1/responses", &body).await;
    assert_eq!(answer.headers["x-open-cursor-run"], "resumed");
    assert!(answer.body.contains("by Responses"), "{}", answer.body);

    let path = "/v1beta/models/fake-mcp-one:generateContent";
    let mut body = json!({"contents": [{"role": "user", "parts": [{"text": "go"}]}],
        "tools": [{"functionDeclarations": [{"name": "bash", "parametersJsonSchema": schema}]}]});
    let answer = server.post_to(path, &body).await.json();
    let content = answer["candidates"][0]["content"].clone();
    let mut parts = content["parts"].as_array().unwrap().iter();
    let call = parts.find_map(|part| part.get("functionCall")).unwrap();
    let result = json!({"id": call["id"], "name": "bash", "response": {"output": "by Gemini"}});
    let contents = body["contents"].as_array_mut().unwrap();
    contents.push(content);
    contents.push(json!({"role": "user", "parts": [{"functionResponse": result}]}));
    let answer = server.post_to(path, &body).await;
    assert_eq!(answer.headers["x-open-cursor-run"], "resumed");
    assert!(answer.body.contains("by Gemini"), "{}", answer.body);
    nothing_left(&server).await;
}

async fn hanging_up(agent: Kind) {
    let server = agent.server(|_| {}).await;
    // After the calls: the run waits on.
    let mut talk = Talk::new(&server, "fake-mcp-one");
    let first = talk.ask().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(server.app.engine().parked(), 1);
    talk.result(&first.calls[0], "x");
    assert_eq!(talk.ask().await.run, "resumed");
    // While the resumed run works: it ends, after a grace in which the client may come back.
    let mut talk = Talk::new(&server, "fake-mcp-script");
    talk.body["messages"][0]["content"] =
        r#"[{"calls": 1}, {"say": "slow "}, {"wait": 60000}, {"say": "end"}]"#.into();
    let first = talk.ask().await;
    talk.result(&first.calls[0], "x");
    let hung = tokio::time::timeout(Duration::from_millis(500), talk.send()).await;
    assert!(hung.is_err());
    assert_eq!(server.app.engine().running(), 1, "within the grace");
    wait_until("the end of the run", || server.app.engine().running() == 0).await;
    nothing_left(&server).await;
}

/// Everything that happens to parked runs, many at a time.
#[tokio::test]
async fn five_hundred_mixed_turns_leave_nothing() {
    let server = parking_with(|setup| {
        setup.engine.park_timeout = Duration::from_secs(3);
        setup.engine.limits.running = 6;
        setup.engine.limits.queued = 64;
    })
    .await;
    let server = &server;
    let turns = std::sync::atomic::AtomicUsize::new(0);
    let count = || turns.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let count = &count;
    let conversations = (0..12_usize).map(|lane| {
        async move {
            let mut kind = lane;
            while count() < 500 {
                kind += 1;
                let model = ["one", "three", "announced", "dies", "dies-after", "text"][kind % 6];
                let mut talk = Talk::new(server, &format!("fake-mcp-{model}"));
                talk.body["messages"][0]["content"] = format!("lane {lane}, talk {kind}").into();
                for step in 0..6 {
                    let answer = talk.send().await;
                    if answer.status != 200 {
                        assert_eq!(answer.status, 502, "{model}: {}", answer.body);
                        break;
                    }
                    let said = talk.take(&answer);
                    if said.finish == "stop" || (kind + step) % 7 == 0 {
                        // Whoever has calls then never comes back.
                        break;
                    }
                    for (at, id) in said.calls.iter().enumerate() {
                        if (kind + at) % 5 == 0 {
                            let body = json!({"tool_call_id": id, "content": "posted"});
                            let headers = [("authorization", "Bearer me")];
                            server.send("/v1/tool_results", &headers, Some(&body)).await;
                        } else {
                            talk.result(id, "sent");
                        }
                    }
                    count();
                }
            }
        }
    });
    futures::future::join_all(conversations).await;
    nothing_left(server).await;
}

async fn stopping_ends_parked_runs(agent: Kind) {
    let server = agent.server(|_| {}).await;
    let mut talks = [
        Talk::new(&server, "fake-mcp-one"),
        Talk::new(&server, "fake-mcp-announced"),
    ];
    for talk in &mut talks {
        talk.ask().await;
    }
    assert_eq!(server.app.engine().parked(), 2);
    server.app.engine().drain();
    nothing_left(&server).await;
}
