//! The requests of `doctor --deep` that a model answers, through a server of their own.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use futures::FutureExt as _;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    cli::{dirs::ServerFiles, own_server::OwnServer},
    doctor::{ProbedLoop, Probes},
    http::client,
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

/// A server for a request or two, and the empty directory that its agent works in.
async fn start(mut resolved: Resolved) -> anyhow::Result<(OwnServer, TempDir)> {
    let scratch = tempfile::tempdir().context("cannot create a temporary directory")?;
    resolved.settings.workspace = Some(scratch.path().to_owned());
    let server = OwnServer::start(resolved, ServerFiles::default(), None).await?;
    Ok((server, scratch))
}

/// The message that answers a request.
async fn chat(server: &OwnServer, body: &Value) -> anyhow::Result<Value> {
    let path = "/v1/chat/completions";
    let response = client::send(server.addr, path, Some(body.to_string())).await?;
    let status = response.status();
    let answer = response.into_body().collect().await?.to_bytes();
    let mut answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
    if !status.is_success() {
        let why = answer["error"]["message"].as_str();
        bail!("{}", why.unwrap_or("the server failed"));
    }
    Ok(answer["choices"][0]["message"].take())
}

async fn ask(resolved: Resolved) -> anyhow::Result<String> {
    let (server, _scratch) = start(resolved).await?;
    let question = json!({"role": "user", "content": "Reply with the one word OK."});
    let request = json!({"model": "auto", "messages": [question]});
    let answer = chat(&server, &request).await?;
    server.close().await?;
    Ok(answer["content"].as_str().unwrap_or_default().to_owned())
}

/// What the tool of the probe answers.
const WORD: &str = "tamarind";

async fn ask_with_tool(resolved: Resolved) -> anyhow::Result<ProbedLoop> {
    let (server, scratch) = start(resolved).await?;
    let file = scratch.path().join("word.txt");
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
    let ask = async |messages: &[Value]| {
        let begun = Instant::now();
        let request = json!({"model": model, "messages": messages, "tools": [tool]});
        let answer = chat(&server, &request).await?;
        Ok::<_, anyhow::Error>((answer, begun.elapsed()))
    };
    let (asked, call) = ask(&messages).await?;
    let mut seen = ProbedLoop {
        called: false,
        answered: false,
        starts: 0,
        call,
        answer: Duration::ZERO,
    };
    let calls = asked["tool_calls"].as_array().cloned().unwrap_or_default();
    if !calls.is_empty() {
        seen.called = true;
        messages.push(asked);
        let result =
            |call: &Value| json!({"role": "tool", "tool_call_id": call["id"], "content": WORD});
        messages.extend(calls.iter().map(result));
        let (answer, took) = ask(&messages).await?;
        seen.answer = took;
        let text = answer["content"].as_str().unwrap_or_default();
        seen.answered = text.to_lowercase().contains(WORD);
    }
    seen.starts = server.app.engine().starts();
    server.close().await?;
    Ok(seen)
}
