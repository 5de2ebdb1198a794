//! Answers in every form that a well-behaved agent gives them.

use std::fs;
use std::io;
use std::time::Duration;

use open_cursor::replay::{ReplayRun, ReplaySession};
use serde_json::json;

use crate::{Out, begin, begin_with_prompt, finish, session};

pub fn ok(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    let mut out = begin(run)?;
    out.say("Hello from the fake agent.")?;
    finish(out)
}

pub fn deltas(run: &mut ReplayRun<'_>, count: &str) -> io::Result<u8> {
    let count: usize = count.parse().map_err(io::Error::other)?;
    let mut out = begin(run)?;
    for n in 0..count {
        out.delta(&format!("w{n} "))?;
    }
    finish(out)
}

pub fn thinking(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    let mut out = begin(run)?;
    out.think("Let me think about that for a moment.")?;
    out.thinking_delta("")?;
    out.say("Thought about it.")?;
    finish(out)
}

pub fn nopartial(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    let prompt = run.prompt()?;
    let whole = ReplaySession {
        partial: false,
        ..session(run)
    };
    let mut out = Out::new(run.stdout, whole);
    out.start(&prompt)?;
    out.say("First segment.")?;
    out.end_segment()?;
    out.say("Second segment.")?;
    finish(out)
}

pub fn json(run: &mut ReplayRun<'_>, how: &str) -> io::Result<u8> {
    let (mut out, prompt) = begin_with_prompt(run)?;
    let is_asked = prompt.contains("it must be one JSON value");
    let is_told = prompt.contains("That answer can't be used");
    out.say(match how {
        "fenced" if is_asked => "```json\n{\"city\": \"Oslo\"}\n```",
        "repaired" if is_told => "{\"city\": \"Oslo\"}",
        _ => "The city is Oslo.",
    })?;
    finish(out)
}

pub fn repeat(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    let mut out = begin(run)?;
    for text in ["la", " la", " la", " la"] {
        out.delta(text)?;
    }
    finish(out)
}

pub fn result_only(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    let mut out = begin(run)?;
    out.event(&json!({
        "type": "result", "subtype": "success", "duration_ms": 5, "is_error": false,
        "result": "Only the result holds this.", "session_id": out.session().id,
        "usage": {"inputTokens": 1, "outputTokens": 2, "cacheReadTokens": 0, "cacheWriteTokens": 0},
    }))?;
    Ok(0)
}

pub fn retry(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    let mut out = begin(run)?;
    out.delta("The answer")?;
    out.delta(" is")?;
    out.retry(1)?;
    for text in ["The answer", " is", " forty-two."] {
        out.delta(text)?;
    }
    finish(out)
}

pub fn no_usage(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    let mut out = begin(run)?;
    out.say("Nobody counted this.")?;
    out.finish(None)?;
    Ok(0)
}

pub fn slow(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    let prompt = run.prompt()?;
    let slow = ReplaySession {
        pace: Duration::from_millis(500),
        ..run.session()
    };
    let mut out = Out::new(run.stdout, slow);
    out.start(&prompt)?;
    out.say("one two three four five")?;
    finish(out)
}

pub fn echo(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    let (mut out, prompt) = begin_with_prompt(run)?;
    out.delta(&prompt)?;
    finish(out)
}

pub fn argv(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    let argv = run.args.raw.clone();
    let mut env: Vec<String> = std::env::vars_os()
        .map(|(name, _)| name.to_string_lossy().into_owned())
        .collect();
    env.sort();
    let cwd = std::env::current_dir()?;
    let mut out = begin(run)?;
    out.delta(&json!({"argv": argv, "env": env, "cwd": cwd.to_string_lossy()}).to_string())?;
    finish(out)
}

pub fn play(run: &mut ReplayRun<'_>, then: &str) -> io::Result<u8> {
    run.prompt()?;
    let bytes = fs::read(run.workspace.join("play.ndjson"))?;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        run.stdout.write_all(line)?;
        run.stdout.flush()?;
    }
    if then == "hang" {
        std::thread::sleep(Duration::MAX);
    }
    Ok(0)
}
