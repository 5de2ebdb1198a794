//! The scripts of the fake agent's MCP scenarios, played by a run of the bridge, so that the cases of
//! parked runs hold for both agents. Discovery and patience are matters of MCP and mean nothing here.

use std::time::Duration;

use futures::{StreamExt as _, future::join_all, stream::FuturesUnordered};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    play::Run,
    scripts::{SCRIPTS, Step},
};

/// What the tools that are preferred are called.
const PREFERRED: &[&str] = &["bash", "shell", "exec_command", "read"];

/// The model, so to speak.
struct Player<'a> {
    run: &'a Run,
    made: u32,
    /// What the tools answered, a line each.
    results: Vec<String>,
}

/// Plays the scenario of this name to its end.
pub async fn play(run: &Run, scenario: &str) {
    if run.text.contains("=== TOOL_RESULT ") {
        run.say(&["The tool has answered."]);
        return run.finish("");
    }
    let tools = &run.agent.options["local"]["customTools"];
    if tools.as_object().is_none_or(Map::is_empty) {
        run.say(&["I have no tools."]);
        return run.finish("");
    }
    let known = SCRIPTS.iter().find(|(name, _)| *name == scenario);
    let own = || {
        let mut lines = run.text.lines().rev().map(str::trim);
        lines.find(|line| line.starts_with("[{")).expect("a script")
    };
    let steps = known.map_or_else(own, |(_, steps)| *steps);
    let steps = serde_json::from_str(steps).expect("a script");
    let mut player = Player {
        run,
        made: 0,
        results: Vec::new(),
    };
    player.steps(steps).await;
    let text = player.results.join("\n");
    if !text.is_empty() {
        run.say(&[&text]);
    }
    run.finish(&text);
}

impl Player<'_> {
    async fn steps(&mut self, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Say(text) => self.run.say(&[&text]),
                Step::Calls(count) => {
                    for _ in 0..count {
                        let call = self.invent();
                        self.batch(vec![(0, call)], false, Vec::new()).await;
                    }
                }
                Step::Same(count) => {
                    let call = self.invent();
                    for at in 0..count {
                        let mut call = call.clone();
                        call["toolCallId"] = json!(format!("{}-same-{at}", self.run.id));
                        self.batch(vec![(0, call)], false, Vec::new()).await;
                    }
                }
                Step::Batch {
                    at,
                    announced,
                    during,
                } => {
                    let calls = at.iter().map(|at| (*at, self.invent())).collect();
                    self.batch(calls, announced, during).await;
                }
                Step::Wait(ms) => sleep(Duration::from_millis(ms)).await,
                Step::Exit(code) => std::process::exit(code.into()),
                Step::Call { tool, arguments } => {
                    let call = self.call(&tool, arguments);
                    self.batch(vec![(0, call)], false, Vec::new()).await;
                }
                Step::Misnamed(_) | Step::Edit(_) => {
                    panic!("not in a case that both agents play")
                }
                Step::Patience(_) | Step::Discover(_) => {}
            }
        }
    }

    /// Makes calls at their times and takes the results as they come.
    async fn batch(&mut self, calls: Vec<(u64, Value)>, announced: bool, during: Vec<Step>) {
        let begun = Instant::now();
        if announced {
            for (_, call) in &calls {
                self.run.announce(call);
            }
        }
        let run = self.run;
        let mut open: FuturesUnordered<_> = calls
            .into_iter()
            .map(|(at, call)| async move {
                sleep_until(begun + Duration::from_millis(at)).await;
                if !announced {
                    run.announce(&call);
                }
                (call["toolName"].clone(), run.make(call).await)
            })
            .collect();
        let during = async {
            for step in during {
                match step {
                    Step::Wait(ms) => sleep(Duration::from_millis(ms)).await,
                    Step::Exit(code) => std::process::exit(code.into()),
                    _ => panic!("not in a case that both agents play"),
                }
            }
        };
        let answers = async {
            let mut results = Vec::new();
            while let Some((tool, text)) = open.next().await {
                results.push(format!("{}: {text}", tool.as_str().unwrap_or_default()));
            }
            results
        };
        let (results, ()) = tokio::join!(answers, during);
        self.results.extend(results);
    }

    /// A call of the preferred tool, different from all before.
    fn invent(&mut self) -> Value {
        self.made += 1;
        let tools = self.run.agent.options["local"]["customTools"]
            .as_object()
            .cloned()
            .unwrap_or_default();
        let preferred = PREFERRED.iter().find_map(|name| {
            let mut tools = tools.iter();
            tools.find(|(tool, _)| tool.eq_ignore_ascii_case(name))
        });
        let (name, tool) = preferred.or(tools.iter().next()).expect("a tool");
        let required = tool["inputSchema"]["required"].as_array();
        let is_required = |name: &str| {
            required.is_none_or(|required| required.iter().any(|it| it.as_str() == Some(name)))
        };
        let args: Map<String, Value> = tool["inputSchema"]["properties"]
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(name, _)| is_required(name))
            .map(|(name, schema)| (name.clone(), self.value(name, schema)))
            .collect();
        self.call(name, args)
    }

    fn call(&self, tool: &str, args: Map<String, Value>) -> Value {
        json!({
            "agentId": self.run.agent.id, "toolName": tool, "args": args,
            "toolCallId": format!("{}-{}", self.run.id, self.made),
        })
    }

    fn value(&self, name: &str, schema: &Value) -> Value {
        let number = self.made;
        match schema["type"].as_str() {
            Some("number" | "integer") => number.into(),
            Some("boolean") => true.into(),
            Some("array") => json!([]),
            Some("object") => json!({}),
            _ if name.contains("command") => format!("echo fake {number}").into(),
            _ => format!("fake {number}").into(),
        }
    }
}

/// Plays the lines `SAY "text"`, `THINK "text"` and `CALL name {json}` of the prompt in their order;
/// calls that follow each other are one batch.
pub async fn lines(run: &Run) {
    let mut calls = Vec::new();
    let mut results = Vec::new();
    for line in run.text.lines().map(str::trim).chain([""]) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        if word == "CALL" {
            calls.push(run.call_of(calls.len(), rest));
            continue;
        }
        if !calls.is_empty() && (line.is_empty() || word == "SAY" || word == "THINK") {
            run.list_requests(calls.len());
            let batch = std::mem::take(&mut calls);
            results.extend(join_all(batch.into_iter().map(|call| run.call(call))).await);
        }
        let text = || serde_json::from_str::<String>(rest).expect("a JSON string");
        match word {
            "SAY" => run.say(&[&text()]),
            "THINK" => run.think(&text()),
            _ => {}
        }
    }
    run.finish(&results.join("\n"));
}
