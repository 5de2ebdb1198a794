//! What runs do, by the model's id.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use serde_json::{Value, json};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    scripted, scripts,
    server::{Agent, Bridge, Failure, Sink},
};

/// Ids and what they do. One that ends in `-` takes the rest of the id as its argument.
#[rustfmt::skip]
pub const SCENARIOS: &[(&str, &str)] = &[
    ("fake-ok", "thinks, and says one sentence in three deltas"),
    ("fake-tools", "calls each `CALL name {json}` of the prompt, all at once, and says the results"),
    ("fake-rounds", "the same one after the other"),
    ("fake-twice", "sends the prompt's first call twice at once, and says both answers"),
    ("fake-stranger", "calls a tool for an agent that is not there, and says the status"),
    ("fake-native", "uses a tool of its own"),
    ("fake-slow", "five deltas, 300 ms apart"),
    ("fake-many", "10000 deltas at once"),
    ("fake-silent", "sends nothing but keep-alives"),
    ("fake-crash", "dies after the first words"),
    ("fake-no-result", "ends the stream without a result"),
    ("fake-cut", "closes the connection of the stream in the middle"),
    ("fake-late-error", "says something, and then the stream ends with an error"),
    ("fake-run-error", "the run fails with a code and a message"),
    ("fake-status-error", "the run fails, and only a status message says why"),
    ("fake-echo", "says the prompt"),
    ("fake-journal", "says all requests so far, and the names of its variables"),
    ("fake-lines", "does what the lines SAY, THINK and CALL of the prompt say"),
    ("fake-mcp-", "plays the script of that name of the fake agent"),
    ("fake-refuse-", "the agent is refused with this SdkErrorCode"),
];

/// The models that are listed: some as Cursor's, and the scenarios.
pub fn models() -> Value {
    let mut items = vec![
        json!({"id": "auto", "displayName": "Auto"}),
        json!({
            "id": "gpt-9", "displayName": "GPT 9",
            "parameters": [
                {"id": "reasoning", "displayName": "Reasoning", "values": [{"value": "low"}, {"value": "high"}]},
            ],
            "variants": [
                {"params": [{"id": "reasoning", "value": "low"}], "displayName": "GPT 9", "isDefault": true},
                {"params": [{"id": "reasoning", "value": "high"}], "displayName": "GPT 9 High"},
            ],
        }),
    ];
    let args = [
        "RATE_LIMIT_EXCEEDED",
        "USAGE_LIMIT_EXCEEDED",
        "INVALID_MODEL",
        "UPSTREAM_ERROR",
        "VALIDATION_ERROR",
    ];
    for (name, _) in SCENARIOS {
        let ids: Vec<String> = match name.strip_suffix('-') {
            Some("fake-mcp") => {
                let scripts = scripts::SCRIPTS.iter().map(|(script, _)| *script);
                let scripts = scripts.chain(["script"]);
                scripts.map(|script| format!("{name}{script}")).collect()
            }
            Some(_) => args.iter().map(|arg| format!("{name}{arg}")).collect(),
            None => vec![(*name).to_owned()],
        };
        items.extend(
            ids.into_iter()
                .map(|id| json!({"id": id, "displayName": id})),
        );
    }
    json!({ "items": items })
}

/// Agents that cannot be made.
pub fn refuse(model: &str) -> Result<(), Failure> {
    let Some(code) = model.strip_prefix("fake-refuse-") else {
        return Ok(());
    };
    let message = format!("refused with {code}");
    Err(Failure(
        "internal",
        message,
        Some(format!("SDK_ERROR_CODE_{code}")),
    ))
}

pub struct Run {
    pub bridge: Arc<Bridge>,
    pub agent: Agent,
    pub id: String,
    pub text: String,
    pub images: Value,
    pub sink: Sink,
    pub cancelled: CancellationToken,
}

impl Run {
    fn message(&self, kind: &str, mut message: Value) {
        message["type"] = json!(kind);
        message["agent_id"] = json!(self.agent.id);
        message["run_id"] = json!(self.id);
        self.sink
            .send(json!({"sdkMessage": {"type": kind, "message": message}}));
    }

    fn update(&self, kind: &str, mut update: Value) {
        update["type"] = json!(kind);
        self.sink
            .send(json!({"interactionUpdate": {"type": kind, "update": update}}));
    }

    /// Deltas and the whole message, as the real one sends both.
    pub fn say(&self, pieces: &[&str]) {
        for piece in pieces {
            self.update("text-delta", json!({ "text": piece }));
        }
        let content = json!([{"type": "text", "text": pieces.concat()}]);
        self.message(
            "assistant",
            json!({"message": {"role": "assistant", "content": content}}),
        );
    }

    fn result(&self, status: &str, text: &str, error: Option<(&str, &str)>) {
        let status = format!("RUN_LIFECYCLE_STATUS_{status}");
        let mut result = json!({
            "runId": self.id, "agentId": self.agent.id, "status": status, "result": text, "durationMs": "12",
            "usage": {"inputTokens": "120", "outputTokens": "12", "cacheReadTokens": "80", "cacheWriteTokens": "10", "totalTokens": "132"},
        });
        if let Some((code, message)) = error {
            result["errorCode"] = json!(code);
            result["errorMessage"] = json!(message);
        }
        self.sink.send(json!({"result": {"agentId": self.agent.id, "runId": self.id, "status": status, "result": result}}));
        self.sink
            .send(json!({"done": {"agentId": self.agent.id, "runId": self.id}}));
        self.sink.end(json!({}));
    }

    pub fn think(&self, text: &str) {
        self.update("thinking-delta", json!({ "text": text }));
        self.update("thinking-completed", json!({"thinkingDurationMs": 3}));
    }

    /// The end of a run that did well.
    pub fn finish(&self, text: &str) {
        self.result("FINISHED", text, None);
    }

    /// Says how many calls come next.
    pub fn list_requests(&self, count: usize) {
        self.update("tool-requests-listed", json!({"callCount": count}));
    }

    /// The call that `name {json}` asks for, the one with this number.
    pub fn call_of(&self, at: usize, line: &str) -> Value {
        let (name, args) = line.split_once(' ').unwrap_or((line, "{}"));
        let args: Value = serde_json::from_str(args).expect("JSON arguments");
        json!({"agentId": self.agent.id, "toolName": name, "args": args, "toolCallId": format!("{}-{at}", self.id)})
    }

    fn calls(&self) -> Vec<Value> {
        let lines = self
            .text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("CALL "));
        let calls = lines.enumerate();
        calls.map(|(at, line)| self.call_of(at, line)).collect()
    }

    /// Announces a call, makes it, and returns the text of its result.
    pub async fn call(&self, request: Value) -> String {
        self.announce(&request);
        self.make(request).await
    }

    pub fn announce(&self, request: &Value) {
        self.update("tool-call-started", announcement(request));
    }

    /// Makes a call that has been announced.
    pub async fn make(&self, request: Value) -> String {
        let mut announced = announcement(&request);
        let (status, reply) = self.bridge.call(request).await;
        announced["toolCall"]["result"] = json!({"status": "success", "value": reply["result"]});
        self.update("tool-call-completed", announced);
        assert!(status.is_success(), "{status} {reply}");
        let result = &reply["result"];
        let text = result["content"][0]["text"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let mark = if result["isError"] == true { "!" } else { "" };
        format!("{mark}{text}")
    }
}

/// What the stream says of a call.
fn announcement(request: &Value) -> Value {
    let args = json!({
        "providerIdentifier": "custom-user-tools", "toolName": request["toolName"], "args": request["args"],
    });
    json!({"callId": request["toolCallId"], "modelCallId": "step-1", "toolCall": {"type": "mcp", "args": args}})
}

/// Plays a run to its end, or until it is cancelled.
pub async fn play(run: Run) {
    run.message("status", json!({"status": "RUNNING"}));
    run.message(
        "system",
        json!({"subtype": "init", "tools": run.agent.options["tools"]["names"]}),
    );
    let cancelled = run.cancelled.clone();
    tokio::select! {
        () = scenario(&run) => {}
        () = cancelled.cancelled() => run.result("CANCELLED", "", None),
    }
}

async fn scenario(run: &Run) {
    if let Some(script) = run.agent.model.strip_prefix("fake-mcp-") {
        return scripted::play(run, script).await;
    }
    match run.agent.model.as_str() {
        "fake-lines" => scripted::lines(run).await,
        "fake-tools" => {
            run.list_requests(run.calls().len());
            run.say(&["Let me ", "look."]);
            let results = join_all(run.calls().into_iter().map(|call| run.call(call))).await;
            run.say(&["Results: ", &results.join(" | ")]);
            run.result("FINISHED", &results.join(" | "), None);
        }
        "fake-rounds" => {
            for call in run.calls() {
                let result = run.call(call).await;
                run.say(&[&result, "\n"]);
            }
            run.result("FINISHED", "", None);
        }
        "fake-twice" => {
            let call = run.calls().remove(0);
            let (first, second) =
                tokio::join!(run.bridge.call(call.clone()), run.bridge.call(call));
            let text = format!("{}", first.1 == second.1);
            run.say(&[&text, " ", &first.1.to_string()]);
            run.result("FINISHED", &text, None);
        }
        "fake-stranger" => {
            let request = json!({"agentId": "nobody", "toolName": "t", "args": {}});
            let (status, reply) = run.bridge.call(request).await;
            run.say(&[status.as_str(), " ", &reply.to_string()]);
            run.result("FINISHED", "", None);
        }
        "fake-native" => {
            let args = json!({"command": "rm -rf /"});
            run.update("tool-call-started", json!({"callId": "1", "modelCallId": "m", "toolCall": {"type": "shell", "args": args}}));
            run.say(&["Done."]);
            run.result("FINISHED", "Done.", None);
        }
        "fake-slow" => {
            for at in 0..5 {
                run.say(&[&format!("{at} ")]);
                sleep(Duration::from_millis(300)).await;
            }
            run.result("FINISHED", "", None);
        }
        "fake-many" => {
            for _ in 0..10_000 {
                run.update("text-delta", json!({"text": "word "}));
            }
            run.result("FINISHED", "", None);
        }
        "fake-silent" => loop {
            run.sink.send(json!({}));
            sleep(Duration::from_millis(20)).await;
        },
        "fake-crash" => {
            run.say(&["I am "]);
            sleep(Duration::from_millis(100)).await;
            eprintln!("out of memory, token key_0123456789");
            std::process::exit(134);
        }
        "fake-no-result" => {
            run.say(&["I am "]);
            run.sink.end(json!({}));
        }
        "fake-cut" => run.say(&["I am "]),
        "fake-late-error" => {
            run.say(&["I am "]);
            let failure = Failure(
                "unavailable",
                "lost".to_owned(),
                Some("SDK_ERROR_CODE_UPSTREAM_ERROR".to_owned()),
            );
            run.sink.end(json!({"error": failure.json()}));
        }
        "fake-run-error" => run.result("ERROR", "", Some(("rate_limited", "slow down"))),
        "fake-status-error" => {
            run.message(
                "status",
                json!({"status": "ERROR", "message": "You've hit your usage limit"}),
            );
            run.result("ERROR", "", None);
        }
        "fake-echo" => {
            let images = run.images.as_array().map_or(0, Vec::len);
            run.say(&[&run.text, &format!("[{images} images]")]);
            run.result("FINISHED", "", None);
        }
        "fake-journal" => {
            let journal = run.bridge.journal.lock().unwrap().clone();
            let text =
                json!({"requests": journal, "environment": run.bridge.environment}).to_string();
            run.say(&[&text]);
            run.result("FINISHED", "", None);
        }
        _ => {
            run.update("thinking-delta", json!({"text": "Hm."}));
            run.update("thinking-completed", json!({"thinkingDurationMs": 3}));
            run.say(&["Hello", " from", " the bridge."]);
            run.update("turn-ended", json!({"usage": {"inputTokens": 120, "outputTokens": 12, "cacheReadTokens": 80, "cacheWriteTokens": 10}}));
            run.result("FINISHED", "Hello from the bridge.", None);
        }
    }
}
