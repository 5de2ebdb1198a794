//! Runs that fail in the ways FACTS 3.2 lists. The words are those by which failures are told
//! apart; the rest is made up.

use std::io;

use open_cursor::replay::{Repertoire, ReplayRun};
use serde_json::json;

use crate::{Fake, begin};

/// A message on stderr and exit code 1.
fn fail(run: &mut ReplayRun<'_>, message: &str) -> io::Result<u8> {
    writeln!(run.stderr, "{message}")?;
    Ok(1)
}

pub fn early_exit(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    fail(run, "Error: gone before the prompt was read")
}

pub fn early_exit_0(_: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    Ok(0)
}

pub fn exit_0_text(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    run.prompt()?;
    writeln!(run.stdout, "Something plain went wrong in the fake agent.")?;
    Ok(0)
}

pub fn error_result(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    let mut out = begin(run)?;
    out.delta("So far so")?;
    out.event(&json!({
        "type": "result", "subtype": "error", "duration_ms": 5, "is_error": true,
        "result": "The fake model gave up.", "session_id": out.session().id,
    }))?;
    Ok(1)
}

pub fn no_result(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    let mut out = begin(run)?;
    out.say("This was all there")?;
    Ok(0)
}

pub fn truncated(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    let mut out = begin(run)?;
    out.say("This line is whole.")?;
    out.raw(br#"{"type":"assistant","message":{"role":"assistant","content":[{"type":"te"#)?;
    Ok(1)
}

pub fn login(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    run.prompt()?;
    fail(
        run,
        "Error: Authentication required. Please run 'agent login' first, or set CURSOR_API_KEY environment variable.",
    )
}

pub fn usage_limit(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    let mut out = begin(run)?;
    out.thinking_delta("Hm")?;
    out.raw(b"ActionRequiredError: You've hit your usage limit for Fake. Your usage limits will reset when your monthly cycle ends on 1/1/2030.\n")?;
    Ok(1)
}

pub fn usage_limit_at_once(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    let mut out = begin(run)?;
    out.raw(b"ActionRequiredError: You've hit your usage limit for Fake.\n")?;
    Ok(1)
}

pub fn rate_limit(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    begin(run)?;
    fail(run, "w: [resource_exhausted] Error")
}

pub fn unknown_model(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    let message = open_cursor::replay::unknown_model(&run.args.model, &Fake.models());
    fail(run, &message)
}

pub fn untrusted(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    let message = open_cursor::replay::untrusted(&run.workspace);
    fail(run, &message)
}

pub fn crash(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    run.prompt()?;
    fail(
        run,
        "TypeError: fake is not a function\n    at fake (index.js:1:1)\n    CURSOR_API_KEY=key_0123456789abcdef0123456789abcdef",
    )
}
