//! `open-cursor demo`: a conversation with tool calls, end to end, with nothing to set up.
//!
//! Only the agent may be a scripted one: the server, the HTTP requests, the streams, the translation of
//! tool calls and the tools are real.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anstyle::{AnsiColor, Style};
use anyhow::{Context as _, bail};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{
    dirs::UserDirs,
    render::{self, Wrapped},
    serve::{AgentSetup, Running},
};
use crate::{
    agent::{Env, discover},
    http::{Shutdown, client},
    settings::Flags,
};

const USER: Style = AnsiColor::Cyan.on_default().bold();
const MODEL: Style = AnsiColor::Green.on_default().bold();
const TOOL: Style = AnsiColor::Yellow.on_default().bold();
const FAINT: Style = Style::new().dimmed();
const PLAIN: Style = Style::new();

/// The pause after a piece of text on a terminal: the replay agent is too fast to be read.
const PACE: Duration = Duration::from_millis(30);

/// How many requests a conversation may take.
const MAX_TURNS: usize = 8;

/// Show a streamed chat with tool calls, with a built-in scripted agent if Cursor's is not installed
///
/// Starts a server on a free port, asks it over HTTP to write, change and read a file, executes the
/// tool calls in a temporary directory as a client would, and shows every step, with the starts of the
/// agent.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  open-cursor demo
  open-cursor demo --agent replay
  open-cursor demo --agent ~/.local/bin/cursor-agent --model auto")]
pub struct DemoArgs {
    /// Agent program, or `replay` for the built-in one [default: cursor-agent if it is installed]
    #[arg(long, value_name = "PATH|replay")]
    agent: Option<String>,

    /// Model to ask [default: auto; with the replay agent, its scenario replay-loop]
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
}

/// How long the agent may take to its first event; it takes 1 to 8 s.
const FIRST_WORD: Duration = Duration::from_secs(30);

/// Runs the demo.
pub async fn run(args: DemoArgs, dirs: &UserDirs) -> anyhow::Result<ExitCode> {
    let scratch = tempfile::tempdir().context("cannot create a temporary directory")?;
    let env = std::env::vars_os().collect::<Env>();
    let agent = match args.agent {
        Some(agent) => agent,
        None if discover(None, &env).await.is_ok() => String::new(),
        None => "replay".to_owned(),
    };
    let is_replay = agent == "replay";
    let mut resolved = dirs.settings(&Flags::new())?;
    let settings = &mut resolved.settings;
    settings.host = IpAddr::V4(Ipv4Addr::LOCALHOST);
    settings.port = 0;
    settings.socket = None;
    settings.agent = Some(agent).filter(|agent| !agent.is_empty());
    settings.workspace = Some(scratch.path().to_owned());
    // Somebody watches.
    settings.agent_timeout = settings.agent_timeout.min(FIRST_WORD);
    let site = AgentSetup::find(settings, dirs.carriers()).await?;
    let running = Running::start(&resolved, site, dirs.models_cache(), None, None).await?;
    let addr = running.addr()?;
    let program = running.app.engine().agent().to_string();
    let shutdown = Shutdown {
        drain: CancellationToken::new(),
        now: CancellationToken::new(),
        grace: Duration::from_secs(2),
    };
    let app = Arc::clone(&running.app);
    let server = tokio::spawn(running.server.run(running.app, shutdown.clone()));

    paragraph(
        &format!("open-cursor listens on http://{addr}, agent: {program}"),
        FAINT,
    );
    let model = args
        .model
        .unwrap_or_else(|| if is_replay { "replay-loop" } else { "auto" }.to_owned());
    let workspace = scratch.path().canonicalize()?;
    let result = converse(addr, &model, &workspace).await;
    shutdown.drain.cancel();
    server.await.context("the server failed")?;
    let requests = result?;

    render::line("");
    let starts = match app.engine().starts() {
        1 => "1 start".to_owned(),
        starts => format!("{starts} starts"),
    };
    paragraph(
        &format!("{requests} requests, {starts} of the agent."),
        PLAIN,
    );
    paragraph(
        "Real: the server, the HTTP requests, the streams, the tool calls and the file.",
        PLAIN,
    );
    if is_replay {
        paragraph(
            "Scripted: the model. The built-in replay agent printed the events that Cursor's CLI \
             prints. For a real model, install Cursor's CLI, run `cursor-agent login`, and then \
             `open-cursor demo`.",
            PLAIN,
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// The conversation of a client with tools: ask, execute what the model calls, send the results.
/// Returns how many requests it took.
async fn converse(addr: SocketAddr, model: &str, workspace: &Path) -> anyhow::Result<usize> {
    let ask = "Write a greeting to hello-open-cursor.txt, then change its first line, read the file back, \
         and tell me what it says.";
    let mut messages = vec![json!({"role": "user", "content": ask})];
    let begin = Instant::now();
    for turn in 1..=MAX_TURNS {
        render::line(format_args!(
            "\n{FAINT}{:5.1} s  request {turn}: POST /v1/chat/completions, model {model}{FAINT:#}",
            begin.elapsed().as_secs_f32()
        ));
        if turn == 1 {
            labelled("user", USER, ask);
        }
        let body = json!({"model": model, "stream": true, "messages": messages, "tools": tools()});
        let answer = ask_once(addr, &body).await?;
        let calls = answer.tool_calls.clone();
        messages.push(answer.into_message());
        if calls.is_empty() {
            return Ok(turn);
        }
        for call in calls {
            let name = call["function"]["name"].as_str().unwrap_or_default();
            let arguments = call["function"]["arguments"].as_str().unwrap_or_default();
            labelled("call", TOOL, &pretty(name, arguments));
            let result = execute(name, arguments, workspace).await;
            labelled("result", TOOL, &result);
            messages.push(json!({"role": "tool", "tool_call_id": call["id"], "content": result}));
        }
    }
    bail!("the conversation did not end within {MAX_TURNS} requests")
}

/// What one streamed answer held.
#[derive(Default)]
struct Streamed {
    text: String,
    tool_calls: Vec<Value>,
}

impl Streamed {
    fn into_message(self) -> Value {
        let mut message = json!({"role": "assistant", "content": self.text});
        if !self.tool_calls.is_empty() {
            message["tool_calls"] = self.tool_calls.into();
        }
        message
    }
}

async fn ask_once(addr: SocketAddr, body: &Value) -> anyhow::Result<Streamed> {
    let response = client::send(addr, "/v1/chat/completions", Some(body.to_string())).await?;
    let status = response.status();
    let run = response.headers().get("x-open-cursor-run");
    let run = run.and_then(|run| run.to_str().ok()).map(str::to_owned);
    let mut body = response.into_body();
    if !status.is_success() {
        let body = body.collect().await?.to_bytes();
        return Err(render::hinted(
            format_args!("the server answered {status}: {}", sentence(&body)),
            "`open-cursor doctor` checks the agent and its login; `open-cursor models` lists the models",
        ));
    }
    match run.as_deref() {
        Some("fresh") => labelled("agent", FAINT, "was started"),
        Some("resumed") => labelled("agent", FAINT, "got the results and continues"),
        _ => {}
    }
    let mut answer = Streamed::default();
    let mut buffer = Vec::new();
    let mut shown = None;
    while let Some(frame) = body.frame().await {
        let frame = frame?;
        buffer.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
        while let Some(end) = memchr::memmem::find(&buffer, b"\n\n") {
            let event: Vec<u8> = buffer.drain(..end + 2).collect();
            let event = String::from_utf8_lossy(&event);
            if let Some(data) = event.trim_end().strip_prefix("data: ") {
                if data == "[DONE]" {
                    if let Some(shown) = shown {
                        Wrapped::end(shown);
                    }
                    return Ok(answer);
                }
                show(&serde_json::from_str(data)?, &mut answer, &mut shown)?;
                if shown.as_ref().is_some_and(Wrapped::is_on_terminal) {
                    tokio::time::sleep(PACE).await;
                }
            }
        }
    }
    bail!("the stream ended without [DONE]")
}

fn show(chunk: &Value, answer: &mut Streamed, shown: &mut Option<Wrapped>) -> anyhow::Result<()> {
    if let Some(error) = chunk.get("error") {
        bail!(
            "the answer ended early: {}",
            error["message"].as_str().unwrap_or_default()
        );
    }
    let delta = &chunk["choices"][0]["delta"];
    if let Some(text) = delta["content"].as_str().filter(|text| !text.is_empty()) {
        let shown = shown.get_or_insert_with(|| label("model", MODEL));
        shown.text(text);
        answer.text.push_str(text);
    }
    if let Some(calls) = delta["tool_calls"].as_array() {
        answer.tool_calls.extend(calls.iter().cloned());
    }
    Ok(())
}

/// The width of the labels.
const LABEL: usize = 8;

/// Prints a label, and returns where its text goes.
fn label(name: &str, style: Style) -> Wrapped {
    render::piece(format_args!("{style}{name:>6}{style:#}  "));
    Wrapped::new(LABEL, LABEL, PLAIN)
}

fn labelled(name: &str, style: Style, text: &str) {
    let mut wrapped = label(name, style);
    wrapped.text(text.trim_end());
    wrapped.end();
}

fn paragraph(text: &str, style: Style) {
    let mut wrapped = Wrapped::new(0, 0, style);
    wrapped.text(text);
    wrapped.end();
}

/// `write filePath: /a, content: "…"`.
fn pretty(name: &str, arguments: &str) -> String {
    let Ok(Value::Object(arguments)) = serde_json::from_str(arguments) else {
        return format!("{name} {arguments}");
    };
    let shown = arguments.iter().map(|(key, value)| match value.as_str() {
        Some(text) if !text.contains(char::is_whitespace) => format!("{key}: {text}"),
        _ => format!("{key}: {value}"),
    });
    format!("{name}  {}", shown.collect::<Vec<_>>().join(", "))
}

/// The message of an error in OpenAI's form.
fn sentence(body: &[u8]) -> String {
    let error: Value = serde_json::from_slice(body).unwrap_or_default();
    let message = error["error"]["message"].as_str().map(str::to_owned);
    message.unwrap_or_else(|| String::from_utf8_lossy(body).trim().to_owned())
}

fn tools() -> Value {
    let tool = |name: &str, description: &str, properties: Value| {
        let required: Vec<&String> = properties
            .as_object()
            .into_iter()
            .flat_map(|p| p.keys())
            .collect();
        json!({"type": "function", "function": {
            "name": name,
            "description": description,
            "parameters": {"type": "object", "properties": properties, "required": required},
        }})
    };
    let path = json!({"type": "string", "description": "Absolute path of the file"});
    json!([
        tool(
            "write",
            "Writes a file.",
            json!({"filePath": path, "content": {"type": "string"}})
        ),
        tool(
            "edit",
            "Replaces a text in a file.",
            json!({"filePath": path, "oldString": {"type": "string"}, "newString": {"type": "string"}})
        ),
        tool("read", "Reads a file.", json!({"filePath": path})),
    ])
}

/// Executes a tool call inside the workspace, and nowhere else.
async fn execute(name: &str, arguments: &str, workspace: &Path) -> String {
    let arguments: Value = serde_json::from_str(arguments).unwrap_or_default();
    let path = PathBuf::from(arguments["filePath"].as_str().unwrap_or_default());
    let Some(file) = path
        .file_name()
        .filter(|_| path.parent() == Some(workspace))
    else {
        return format!(
            "error: {} is not in {}",
            path.display(),
            workspace.display()
        );
    };
    let path = workspace.join(file);
    let result = match name {
        "write" => {
            let content = arguments["content"].as_str().unwrap_or_default();
            let written = tokio::fs::write(&path, content).await;
            written.map(|()| format!("wrote {} bytes to {}", content.len(), path.display()))
        }
        "edit" => {
            let old = arguments["oldString"].as_str().unwrap_or_default();
            let new = arguments["newString"].as_str().unwrap_or_default();
            match tokio::fs::read_to_string(&path).await {
                Ok(text) if !old.is_empty() && text.contains(old) => {
                    let changed = tokio::fs::write(&path, text.replacen(old, new, 1)).await;
                    changed.map(|()| format!("changed {}", path.display()))
                }
                Ok(_) => return format!("error: {} does not contain oldString", path.display()),
                Err(error) => Err(error),
            }
        }
        "read" => tokio::fs::read_to_string(&path).await,
        _ => return format!("error: there is no tool {name}"),
    };
    result.unwrap_or_else(|error| format!("error: {error}"))
}
