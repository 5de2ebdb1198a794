//! The requests of `doctor --deep` that a model answers, through a server of their own.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use futures::FutureExt as _;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    cli::serve::{AgentSetup, Running},
    doctor::{ProbedLoop, Probes},
    http::{App, Shutdown, client},
    settings::Resolved,
};

/// The requests, with these settings.
pub(super) fn probes(resolved: &Resolved) -> Probes {
    let (chat, tool_loop) = (resolved.clone(), resolved.clone());
    Probes {
        chat: Box::new(move || explained(ask(chat.clone())).boxed()),
        tool_loop: Box::new(move || explained(ask_with_tool(tool_loop.clone())).boxed()),
    }
}

/// What came of a request, or why nothing did.
async fn explained<T>(asked: impl Future<Output = anyhow::Result<T>>) -> Result<T, String> {
    asked.await.map_err(|error| format!("{error:#}"))
}

/// A server for a request or two, in an empty directory.
struct OwnServer {
    app: Arc<App>,
    addr: SocketAddr,
    shutdown: Shutdown,
    task: JoinHandle<()>,
    scratch: TempDir,
    /// Ends it also when the check is given up.
    _end: DropGuard,
}

impl OwnServer {
    async fn start(mut resolved: Resolved) -> anyhow::Result<Self> {
        let scratch = tempfile::tempdir().context("cannot create a temporary directory")?;
        resolved.settings.host = IpAddr::V4(Ipv4Addr::LOCALHOST);
        resolved.settings.port = 0;
        resolved.settings.socket = None;
        resolved.settings.workspace = Some(scratch.path().to_owned());
        let site = AgentSetup::find(&resolved.settings, None).await?;
        let running = Running::start(&resolved, site, None, None, None).await?;
        let addr = running.addr()?;
        let shutdown = Shutdown {
            drain: CancellationToken::new(),
            now: CancellationToken::new(),
            grace: Duration::ZERO,
        };
        let app = Arc::clone(&running.app);
        Ok(Self {
            _end: shutdown.now.clone().drop_guard(),
            task: tokio::spawn(running.server.run(running.app, shutdown.clone())),
            addr,
            app,
            shutdown,
            scratch,
        })
    }

    /// The message that answers a request.
    async fn chat(&self, body: &Value) -> anyhow::Result<Value> {
        let path = "/v1/chat/completions";
        let response = client::send(self.addr, path, Some(body.to_string())).await?;
        let status = response.status();
        let answer = response.into_body().collect().await?.to_bytes();
        let mut answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        if !status.is_success() {
            let why = answer["error"]["message"].as_str();
            bail!("{}", why.unwrap_or("the server failed"));
        }
        Ok(answer["choices"][0]["message"].take())
    }

    async fn end(self) -> anyhow::Result<()> {
        self.shutdown.now.cancel();
        Ok(self.task.await?)
    }
}

async fn ask(resolved: Resolved) -> anyhow::Result<String> {
    let server = OwnServer::start(resolved).await?;
    let question = json!({"role": "user", "content": "Reply with the one word OK."});
    let answer = server
        .chat(&json!({"model": "auto", "messages": [question]}))
        .await?;
    server.end().await?;
    Ok(answer["content"].as_str().unwrap_or_default().to_owned())
}

/// What the tool of the probe answers.
const WORD: &str = "tamarind";

async fn ask_with_tool(resolved: Resolved) -> anyhow::Result<ProbedLoop> {
    let server = OwnServer::start(resolved).await?;
    let file = server.scratch.path().join("word.txt");
    let (model, question) = if server.app.engine().agent().kind() == "replay" {
        let steps = json!([[{"tools": [{"read": {"path": file}}]}], [{"say": "{result}"}]]);
        ("replay-script", steps.to_string())
    } else {
        let question = format!(
            "Call the tool `read` once with the path {} and reply with the word that it returns.",
            file.display()
        );
        ("auto", question)
    };
    let tool = json!({"type": "function", "function": {
        "name": "read",
        "description": "Reads a file and returns its text.",
        "parameters": {
            "type": "object",
            "properties": {"filePath": {"type": "string", "description": "Absolute path"}},
            "required": ["filePath"],
        },
    }});
    let mut messages = vec![json!({"role": "user", "content": question})];
    let begun = Instant::now();
    let asked = server
        .chat(&json!({"model": model, "messages": messages, "tools": [tool]}))
        .await?;
    let mut seen = ProbedLoop {
        called: false,
        answered: false,
        starts: 0,
        call: begun.elapsed(),
        answer: Duration::ZERO,
    };
    let calls = asked["tool_calls"].as_array().cloned().unwrap_or_default();
    if !calls.is_empty() {
        seen.called = true;
        messages.push(asked);
        messages.extend(
            calls
                .iter()
                .map(|call| json!({"role": "tool", "tool_call_id": call["id"], "content": WORD})),
        );
        let begun = Instant::now();
        let answer = server
            .chat(&json!({"model": model, "messages": messages, "tools": [tool]}))
            .await?;
        seen.answer = begun.elapsed();
        let text = answer["content"].as_str().unwrap_or_default();
        seen.answered = text.to_lowercase().contains(WORD);
    }
    seen.starts = server.app.engine().starts();
    server.end().await?;
    Ok(seen)
}
