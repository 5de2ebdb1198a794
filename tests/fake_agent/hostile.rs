//! Silence, floods, broken bytes, and processes that won't go away.

use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};
use open_cursor::replay::{Emitter, ReplayRun};
use serde_json::{Value, json};

use crate::{FOREVER, Out, begin, finish, session};

pub fn hang(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    run.prompt()?;
    thread::sleep(FOREVER);
    Ok(1)
}

pub fn hang_after_text(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    begin(run)?.say("Then there was")?;
    thread::sleep(FOREVER);
    Ok(1)
}

pub fn hang_after_result(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    let mut out = begin(run)?;
    out.say("All done.")?;
    finish(out)?;
    thread::sleep(FOREVER);
    Ok(0)
}

/// A delta line as the emitter would write it.
fn delta(out: &Out<'_>, text: &str) -> Value {
    json!({
        "type": "assistant",
        "message": {"role": "assistant", "content": [{"type": "text", "text": text}]},
        "session_id": out.session().id, "timestamp_ms": 1_700_000_000_000_u64,
    })
}

pub fn flood(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    let mut out = begin(run)?;
    let started = Instant::now();
    loop {
        let text = format!("{} ms and on, ", started.elapsed().as_millis());
        let lines = format!("{}\n", delta(&out, &text)).repeat(64);
        out.raw(lines.as_bytes())?;
    }
}

pub fn flood_size(run: &mut ReplayRun<'_>, megabytes: &str) -> io::Result<u8> {
    let megabytes: usize = megabytes.parse().map_err(io::Error::other)?;
    let mut out = begin(run)?;
    let text = "sixty-four bytes of text in every delta, for easy arithmetics.\n ";
    let line = delta(&out, text).to_string().len() + 1;
    for _ in 0..(megabytes << 20).div_ceil(line) {
        out.delta(text)?;
    }
    finish(out)
}

pub fn stderr_flood(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    let noise = "noise on stderr that nobody reads\n".repeat(1 << 10);
    for _ in 0..(8 << 20) / noise.len() {
        run.stderr.write_all(noise.as_bytes())?;
    }
    let mut out = begin(run)?;
    out.say("Still here.")?;
    finish(out)
}

pub fn bad_utf8(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    let mut out = begin(run)?;
    out.raw(b"\xff\xfe not text \xc3\x28\n")?;
    // The same broken bytes in the delta, in its recap and in the result.
    let broken = |value: Value| {
        let line = value.to_string();
        let (head, tail) = line.split_once("BAD").unwrap_or((&line, ""));
        [head.as_bytes(), b"\xff", tail.as_bytes(), b"\n"].concat()
    };
    let event = delta(&out, "caBAD ole");
    let mut recap = event.clone();
    if let Some(recap) = recap.as_object_mut() {
        recap.remove("timestamp_ms");
    }
    let result = json!({
        "type": "result", "subtype": "success", "duration_ms": 5, "is_error": false,
        "result": "caBAD ole", "session_id": out.session().id,
    });
    for line in [event, recap, result] {
        out.raw(&broken(line))?;
    }
    Ok(0)
}

/// Writes every byte by itself.
struct Bytewise<W>(W);

impl<W: Write> Write for Bytewise<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.0.write(&bytes[..bytes.len().min(1)])?;
        self.0.flush()?;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

pub fn utf8_split(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    let prompt = run.prompt()?;
    let session = session(run);
    let mut out = Emitter::new(Bytewise(&mut *run.stdout), session);
    out.start(&prompt)?;
    out.say("äöü → 漢字 🦀 done")?;
    finish(out)
}

pub fn huge_text(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    let mut out = begin(run)?;
    out.delta(&"0123456789abcdef".repeat(1 << 20))?;
    finish(out)
}

pub fn junk(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    run.stdout
        .write_all(b"Using worktree: /tmp/fake/worktree\n")?;
    let mut out = begin(run)?;
    for line in [
        "",
        "   ",
        "A plain sentence.",
        "{\"type\":",
        "[1, 2, 3]",
        "null",
        "\"text\"",
        "{}",
        r#"{"type": 7}"#,
        r#"{"type": "from_the_future", "payload": {"deep": [1, {"er": null}]}}"#,
        r#"{"type": "system", "subtype": "from_the_future"}"#,
        r#"{"type": "thinking", "subtype": "from_the_future", "text": 5}"#,
        r#"{"type": "tool_call", "subtype": "started"}"#,
        r#"{"type": "tool_call", "subtype": "completed", "call_id": "x", "tool_call": {"n": 1}}"#,
        r#"{"type": "assistant", "message": {"role": "assistant", "content": 5}}"#,
    ] {
        out.raw(format!("{line}\n").as_bytes())?;
    }
    // Two objects on one line, and a line that ends in CRLF.
    let twice = format!("{} {}\n", delta(&out, "One"), delta(&out, " two"));
    out.raw(twice.as_bytes())?;
    out.raw(format!("{}\r\n", delta(&out, " three.")).as_bytes())?;
    let mut recap = delta(&out, "One two three.");
    if let Some(recap) = recap.as_object_mut() {
        recap.remove("timestamp_ms");
    }
    out.event(&recap)?;
    out.event(&json!({
        "type": "result", "subtype": "success", "duration_ms": 5, "is_error": false,
        "result": "One two three.", "session_id": out.session().id,
    }))?;
    out.raw(b"A last word after the result.\n")?;
    Ok(0)
}

pub fn bare_assistant(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    let mut out = begin(run)?;
    out.raw(b"{\"type\":\"assistant\"}\n")?;
    out.say("Dressed.")?;
    finish(out)
}

pub fn ignore_term(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    let mut deaf = SigSet::empty();
    deaf.add(Signal::SIGTERM);
    deaf.thread_block()?;
    begin(run)?.say("I stay.")?;
    thread::sleep(FOREVER);
    Ok(1)
}

/// A process of the same group that keeps stdout open.
fn grandchild() -> io::Result<()> {
    Command::new("sleep")
        .arg(FOREVER.as_secs().to_string())
        .stdin(Stdio::null())
        .spawn()?;
    Ok(())
}

pub fn grandchild_and_result(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    let mut out = begin(run)?;
    grandchild()?;
    out.say("I leave somebody behind.")?;
    finish(out)
}

pub fn grandchild_no_result(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    let mut out = begin(run)?;
    grandchild()?;
    out.say("I leave somebody behind.")?;
    Ok(0)
}

pub fn late_stdin(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    let session = session(run);
    let mut out = Out::new(run.stdout, session);
    out.start("")?;
    thread::sleep(Duration::from_secs(1));
    let mut prompt = Vec::new();
    run.stdin.read_to_end(&mut prompt)?;
    out.say(&format!("{} bytes", prompt.len()))?;
    finish(out)
}
