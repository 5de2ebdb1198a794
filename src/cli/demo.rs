//! `open-cursor demo`: a conversation with tool calls, end to end, with nothing to set up.
//!
//! Only the agent may be a scripted one: the server, the HTTP requests, the streams, the translation of
//! tool calls and the tools are real.

mod answer;
mod tools;

use std::{
    net::SocketAddr,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use anstyle::{AnsiColor, Style};
use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::{
    dirs::{ServerFiles, UserDirs},
    own_server::OwnServer,
    process_env,
    render::{self, FAINT, PLAIN, Wrapped},
};
use crate::{agent::discover, settings::Flags};

const USER: Style = AnsiColor::Cyan.on_default().bold();
const MODEL: Style = AnsiColor::Green.on_default().bold();
const TOOL: Style = AnsiColor::Yellow.on_default().bold();

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
    let agent = match args.agent {
        Some(agent) => Some(agent),
        None if discover(None, &process_env()).await.is_ok() => None,
        None => Some("replay".to_owned()),
    };
    let is_replay = agent.as_deref() == Some("replay");
    let mut resolved = dirs.settings(&Flags::new())?;
    let settings = &mut resolved.settings;
    settings.agent = agent.filter(|agent| !agent.is_empty());
    settings.workspace = Some(scratch.path().to_owned());
    // Somebody watches.
    settings.agent_timeout = settings.agent_timeout.min(FIRST_WORD);
    let files = ServerFiles {
        history: None,
        ..dirs.files.clone()
    };
    let server = OwnServer::start(resolved, files, None).await?;
    let (addr, engine) = (server.addr, server.app.engine());
    let program = engine.agent();
    paragraph(
        &format!("open-cursor listens on http://{addr}, agent: {program}"),
        FAINT,
    );
    let usual = if is_replay { "replay-loop" } else { "auto" };
    let model = args.model.as_deref().unwrap_or(usual);
    let workspace = scratch.path().canonicalize()?;
    let result = converse(addr, model, &workspace).await;
    let starts = engine.starts();
    server.close().await?;
    let requests = result?;

    render::line("");
    let starts = match starts {
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
        let body = json!({"model": model, "stream": true, "messages": messages, "tools": tools::definitions()});
        let answer = answer::ask(addr, &body).await?;
        let calls = answer.tool_calls.clone();
        messages.push(answer.into_message());
        if calls.is_empty() {
            return Ok(turn);
        }
        for call in calls {
            let name = call["function"]["name"].as_str().unwrap_or_default();
            let arguments = call["function"]["arguments"].as_str().unwrap_or_default();
            labelled("call", TOOL, &pretty(name, arguments));
            let result = tools::execute(name, arguments, workspace).await;
            labelled("result", TOOL, &result);
            messages.push(json!({"role": "tool", "tool_call_id": call["id"], "content": result}));
        }
    }
    bail!("the conversation did not end within {MAX_TURNS} requests")
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
