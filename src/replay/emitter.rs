//! Writes the events of a run as the CLI does in its format `stream-json` (SCHEMA 1 to 4).
//!
//! Knows the shapes of events, not when they should come: that is for a script or a test to say.

use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::ident::{model_call, now_ms};
use super::tool::{Ids, ReplayTool};
use crate::{agent::uuid, turn::Usage};

/// How many pauses a tool "runs": about 300 ms at the default pace.
const TOOL_PAUSES: u32 = 25;

/// How much reasoning goes into one delta, in words.
const THINKING_WORDS: usize = 3;

/// What stays the same throughout a run.
#[derive(Debug, Clone)]
pub struct ReplaySession {
    /// The chat's id.
    pub id: String,
    /// The workspace.
    pub cwd: String,
    /// The model's label.
    pub model: String,
    /// Whether text comes in deltas (`--stream-partial-output`).
    pub partial: bool,
    /// The pause after each delta of [`Emitter::say`] and [`Emitter::think`].
    pub pace: Duration,
}

/// A tool call of a run.
#[derive(Debug, Clone)]
pub struct ReplayCall {
    /// Cursor's id of the call; it holds a newline.
    pub id: String,
    /// The model request that makes the call.
    pub model_call: String,
    tool: ReplayTool,
    args: Value,
    started_ms: u64,
}

/// Writes the events of one run, one line each, flushed.
#[derive(Debug)]
pub struct Emitter<W> {
    out: W,
    session: ReplaySession,
    request: String,
    begun: Instant,
    /// The model request under way, and how many there were before it.
    model_call: String,
    model_calls: u32,
    calls: u32,
    /// A tool came back: the next output belongs to a new model request.
    answered: bool,
    /// Text since the last tool call, and all text before it.
    segment: String,
    answer: String,
}

impl<W: Write> Emitter<W> {
    /// A run that has printed nothing yet.
    pub fn new(out: W, session: ReplaySession) -> Self {
        let request = uuid();
        Self {
            out,
            session,
            model_call: model_call(&request, 0),
            request,
            begun: Instant::now(),
            model_calls: 0,
            calls: 0,
            answered: false,
            segment: String::new(),
            answer: String::new(),
        }
    }

    /// Bytes as they are.
    ///
    /// # Errors
    /// What the output says; a closed pipe is [`io::ErrorKind::BrokenPipe`]. So for all methods.
    pub fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.out.flush()
    }

    /// One event line of any shape.
    pub fn event(&mut self, value: &Value) -> io::Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        self.raw(&line)
    }

    /// `system/init` and the echo of the prompt.
    pub fn start(&mut self, prompt: &str) -> io::Result<()> {
        let ReplaySession { id, cwd, model, .. } = &self.session;
        let key = std::env::var_os("CURSOR_API_KEY");
        let source = if key.is_some() { "env" } else { "login" };
        let init = json!({
            "type": "system", "subtype": "init", "apiKeySource": source, "cwd": cwd,
            "session_id": id, "model": model, "permissionMode": "default",
        });
        let user = json!({"type": "user", "message": message("user", prompt), "session_id": id});
        self.event(&init)?;
        self.event(&user)
    }

    /// A thought, in deltas, and its end.
    pub fn think(&mut self, text: &str) -> io::Result<()> {
        let words: Vec<&str> = words(text).collect();
        for part in words.chunks(THINKING_WORDS) {
            self.thinking_delta(&part.concat())?;
            self.pause(1);
        }
        self.thinking("completed", None)
    }

    /// One piece of a thought.
    pub fn thinking_delta(&mut self, text: &str) -> io::Result<()> {
        self.thinking("delta", Some(text))
    }

    fn thinking(&mut self, subtype: &str, text: Option<&str>) -> io::Result<()> {
        self.next_model_call();
        self.event(&present(json!({
            "type": "thinking", "subtype": subtype, "text": text, "session_id": self.session.id,
            "timestamp_ms": now_ms(),
        })))
    }

    /// Answer text, word by word.
    pub fn say(&mut self, text: &str) -> io::Result<()> {
        for word in words(text) {
            self.delta(word)?;
            self.pause(1);
        }
        Ok(())
    }

    /// One piece of answer text: a line with partial output, else kept for its segment.
    pub fn delta(&mut self, text: &str) -> io::Result<()> {
        self.next_model_call();
        self.segment.push_str(text);
        if self.session.partial {
            self.assistant(text, true, None)?;
        }
        Ok(())
    }

    /// The end of the segment before a tool call: its recap or, without partial output, its text.
    pub fn end_segment(&mut self) -> io::Result<()> {
        let text = std::mem::take(&mut self.segment);
        self.answer.push_str(&text);
        if text.is_empty() {
            return Ok(());
        }
        let model_call = self.model_call.clone();
        self.assistant(&text, true, Some(&model_call))
    }

    /// Prepares a call and prints nothing. Calls of one batch are prepared before any completes.
    pub fn call(&mut self, tool: &ReplayTool) -> ReplayCall {
        self.next_model_call();
        let id = format!("call-{}-{}\nfc_{}_0", uuid(), self.calls, uuid());
        self.calls += 1;
        let args = tool.args(&Ids {
            call: &id,
            session: &self.session.id,
            request: &self.request,
        });
        ReplayCall {
            id,
            model_call: self.model_call.clone(),
            tool: tool.clone(),
            args,
            started_ms: now_ms(),
        }
    }

    /// Announces a call; the text before it is closed first.
    pub fn started(&mut self, call: &ReplayCall) -> io::Result<()> {
        self.end_segment()?;
        self.tool_call("started", call, None)
    }

    /// Reports a call's `result` object. Arguments are left out of all but a success (SCHEMA 3).
    pub fn completed(&mut self, call: &ReplayCall, result: &Value) -> io::Result<()> {
        self.answered = true;
        self.tool_call("completed", call, Some(result))
    }

    fn tool_call(
        &mut self,
        subtype: &str,
        call: &ReplayCall,
        result: Option<&Value>,
    ) -> io::Result<()> {
        let has_args = result.is_none_or(|result| result.get("success").is_some());
        let inner = present(json!({
            "args": has_args.then_some(&call.args), "result": result,
            "description": call.tool.description(),
        }));
        let now = now_ms();
        let body = present(json!({
            call.tool.key(): inner, "hookAdditionalContexts": [], "toolCallId": call.id,
            "startedAtMs": call.started_ms.to_string(),
            "completedAtMs": result.map(|_| now.to_string()),
        }));
        self.event(&json!({
            "type": "tool_call", "subtype": subtype, "call_id": call.id, "tool_call": body,
            "model_call_id": call.model_call, "session_id": self.session.id, "timestamp_ms": now,
        }))
    }

    /// The end of a successful run: the last recap or segment, and the result.
    pub fn finish(&mut self, usage: Option<Usage>) -> io::Result<()> {
        let last = std::mem::take(&mut self.segment);
        self.answer.push_str(&last);
        if !last.is_empty() {
            self.assistant(&last, false, None)?;
        }
        let ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut result = json!({
            "type": "result", "subtype": "success", "duration_ms": ms, "duration_api_ms": ms,
            "is_error": false, "result": self.answer, "session_id": self.session.id,
            "request_id": self.request,
        });
        if let Some(usage) = usage {
            result["usage"] = json!({
                "inputTokens": usage.input, "outputTokens": usage.output,
                "cacheReadTokens": usage.cache_read.unwrap_or(0),
                "cacheWriteTokens": usage.cache_write.unwrap_or(0),
            });
        }
        self.event(&result)
    }

    /// How many bytes of answer text there were so far.
    #[must_use]
    pub fn text_len(&self) -> usize {
        self.answer.len() + self.segment.len()
    }

    /// A lost connection: the model request starts again, and what it said since the last tool
    /// call is about to be said again.
    pub fn retry(&mut self, attempt: u32) -> io::Result<()> {
        self.segment.clear();
        let (id, now) = (self.session.id.clone(), now_ms());
        self.event(&json!({
            "type": "connection", "subtype": "reconnecting", "session_id": id,
            "timestamp_ms": now, "attempt": attempt, "endpoint_url": "https://agent.invalid",
        }))?;
        self.event(&json!({
            "type": "retry", "subtype": "starting", "session_id": id, "timestamp_ms": now,
            "attempt": attempt, "is_resume": false,
        }))?;
        self.event(&json!({
            "type": "connection", "subtype": "reconnected", "session_id": id, "timestamp_ms": now,
        }))
    }

    /// What stays the same throughout the run.
    #[must_use]
    pub fn session(&self) -> &ReplaySession {
        &self.session
    }

    /// Waits as long as a tool would run.
    pub fn tool_pause(&self) {
        self.pause(TOOL_PAUSES);
    }

    fn pause(&self, units: u32) {
        if !self.session.pace.is_zero() {
            thread::sleep(self.session.pace * units);
        }
    }

    fn assistant(&mut self, text: &str, timed: bool, model_call: Option<&str>) -> io::Result<()> {
        self.event(&present(json!({
            "type": "assistant", "message": message("assistant", text),
            "session_id": self.session.id, "model_call_id": model_call,
            "timestamp_ms": timed.then(now_ms),
        })))
    }

    fn next_model_call(&mut self) {
        if std::mem::take(&mut self.answered) {
            self.model_calls += 1;
            self.model_call = model_call(&self.request, self.model_calls);
        }
    }
}

/// An object without the members that are null.
fn present(mut object: Value) -> Value {
    if let Some(members) = object.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    object
}

fn message(role: &str, text: &str) -> Value {
    json!({"role": role, "content": [{"type": "text", "text": text}]})
}

/// The words of a text, each with the white space before it. Joined they are the text again.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let space = rest.len() - rest.trim_start().len();
        let word = rest[space..].find(char::is_whitespace);
        // White space at the very end goes with the last word.
        let end = word
            .map(|at| space + at)
            .filter(|end| !rest[*end..].trim_start().is_empty())
            .unwrap_or(rest.len());
        let (head, tail) = rest.split_at(end);
        rest = tail;
        (!head.is_empty()).then_some(head)
    })
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn words_join_to_the_text() {
        for (text, count) in [
            ("one two  three\n", 3),
            ("\n\n> quoted\n> twice", 4),
            ("", 0),
            (" \n", 1),
            ("einzeln", 1),
            ("ä ö\u{2003}ü", 3),
        ] {
            let parts: Vec<&str> = words(text).collect();
            assert_eq!((parts.concat().as_str(), parts.len()), (text, count));
        }
    }
}
