//! The replay agent from outside, as a caller sees it: arguments in, lines and exit code out.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::ffi::OsString;
use std::io;

use serde_json::Value;

use super::surface::Repertoire;
use super::{main, script::Script, transcript::Transcript};

const STREAM: &str = "-p --output-format stream-json --trust";

/// Runs the agent without pauses and returns exit code, stdout and stderr.
fn agent(line: &str, stdin: &str) -> (u8, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let args = line.split_whitespace().map(OsString::from);
    let code = main(args, stdin.as_bytes(), &mut out, &mut err);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (code, text(out), text(err))
}

/// Streams a scenario; `results` tool results follow the user's message.
fn stream(model: &str, results: usize, flags: &str) -> (u8, Vec<Value>, String) {
    let mut prompt = "=== USER u1 ===\nDo it.\nPlease, {workspace}!\n=== END u1 ===\n".to_owned();
    for n in 0..results {
        prompt += &format!(
            "=== TOOL_RESULT (call_id: c{n}, name: x) t{n} ===\noutput {n}\n=== END t{n} ===\n"
        );
    }
    let line = format!(
        "--print --output-format stream-json --trust --replay-pace 0 --model {model} {flags}"
    );
    let (code, out, err) = agent(&line, &prompt);
    let events = out
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    (code, events.collect(), err)
}

fn text(event: &Value) -> &str {
    event["message"]["content"][0]["text"].as_str().unwrap()
}

fn of_type<'a>(events: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    events.iter().filter(move |event| event["type"] == kind)
}

#[test]
fn every_scenario_keeps_the_rules_of_a_stream() {
    let script = Script::embedded().unwrap();
    for model in script.models() {
        if model.id == "replay-error-hang" {
            continue;
        }
        for step in 0..=script.steps(&model.id, &Transcript::default()) {
            for flags in ["--stream-partial-output", ""] {
                let (code, events, _) = stream(&model.id, step, flags);
                let context = format!("{} step {step} {flags}", model.id);
                if model.id.starts_with("replay-error-") {
                    assert_eq!(of_type(&events, "result").count(), 0, "{context}");
                    continue;
                }
                assert_eq!(code, 0, "{context}");
                check_run(&events, flags.is_empty(), &context);
            }
        }
    }
}

/// SCHEMA 0 to 2: order, recaps, batches, and the result's text.
fn check_run(events: &[Value], whole: bool, context: &str) {
    assert_eq!(events[0]["subtype"], "init", "{context}");
    assert_eq!(events[1]["type"], "user", "{context}");
    let session = &events[0]["session_id"];
    let (mut pending, mut answer) = (String::new(), String::new());
    let mut open = Vec::new();
    for event in &events[1..] {
        assert_eq!(&event["session_id"], session, "{context}");
        match event["type"].as_str().unwrap() {
            "assistant" => {
                let timed = event["timestamp_ms"].is_u64();
                if timed && event["model_call_id"].is_null() {
                    assert!(!whole, "a delta: {context}");
                    pending += text(event);
                } else {
                    if !whole {
                        assert_eq!(text(event), pending, "{context}");
                    }
                    answer += text(event);
                    pending.clear();
                }
            }
            "tool_call" => {
                assert!(
                    pending.is_empty(),
                    "text before a call is closed: {context}"
                );
                let id = event["call_id"].as_str().unwrap();
                assert!(id.contains('\n'), "{context}");
                if event["subtype"] == "started" {
                    open.push((id, &event["model_call_id"]));
                } else {
                    assert!(open.contains(&(id, &event["model_call_id"])), "{context}");
                }
            }
            _ => {}
        }
    }
    let result = events.last().unwrap();
    assert_eq!(result["subtype"], "success", "{context}");
    assert_eq!(result["result"], answer, "{context}");
    assert!(!answer.is_empty(), "{context}");
    assert!(
        result["usage"]["inputTokens"].as_u64().unwrap() > 0,
        "{context}"
    );
}

#[test]
fn the_plain_answer_names_itself_and_quotes_the_user() {
    for model in ["auto", "replay"] {
        let (_, events, _) = stream(model, 0, "");
        let answer = events.last().unwrap()["result"].as_str().unwrap();
        assert!(answer.contains("replay agent"));
        // Braces in what is filled in are not placeholders.
        assert!(answer.contains("> Please, {workspace}!\n"), "{answer}");
    }
}

#[test]
fn the_files_loop_writes_reads_and_quotes() {
    let here = std::env::current_dir().unwrap();
    let path = here.join("hello-open-cursor.txt");
    for (results, key) in [(0, "streamContent"), (1, "path")] {
        let (_, events, _) = stream("replay-files", results, "");
        let started = of_type(&events, "tool_call").next().unwrap();
        let (_, call) = started["tool_call"]
            .as_object()
            .unwrap()
            .iter()
            .next()
            .unwrap();
        let args = &call["args"];
        assert_eq!(args["path"], path.to_str().unwrap());
        assert!(args[key].is_string());
    }
    let (_, events, _) = stream("replay-files", 2, "");
    assert_eq!(of_type(&events, "tool_call").count(), 0);
    let answer = events.last().unwrap()["result"].as_str().unwrap();
    assert!(answer.contains("output 1"));
    assert!(!path.exists(), "the replay agent touches nothing");
}

#[test]
fn a_message_can_spell_its_steps_out() {
    let script =
        r#"[[{"say":"one"},{"tools":[{"ls":{"path":"{workspace}"}}]}],[{"say":"two: {result}"}]]"#;
    let result = "=== TOOL_RESULT x ===\nlisted\n=== END x ===\n";
    for (results, expected) in [("", "Nobody executed"), (result, "two: listed")] {
        let prompt = format!("=== USER u ===\nPlay this:\n{script}\n=== END u ===\n{results}");
        for model in ["replay-script", "replay-gpt-script"] {
            let line = format!("{STREAM} --replay-pace 0 --model {model}");
            let (code, out, _) = agent(&line, &prompt);
            assert_eq!(code, 0);
            let last: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
            let answer = last["result"].as_str().unwrap();
            assert!(answer.contains(expected), "{answer}");
        }
    }
    let (_, events, _) = stream("replay-script", 0, "");
    let answer = events.last().unwrap()["result"].as_str().unwrap();
    assert!(
        answer.contains("not a list of steps (expected value"),
        "{answer}"
    );
}

#[test]
fn parallel_calls_share_a_model_request_and_later_text_has_its_own() {
    let (_, events, _) = stream("replay-parallel", 0, "--stream-partial-output");
    let calls: Vec<&Value> = of_type(&events, "tool_call").collect();
    let order: Vec<&str> = calls
        .iter()
        .map(|call| call["subtype"].as_str().unwrap())
        .collect();
    assert_eq!(order, ["started", "started", "completed", "completed"]);
    assert_eq!(calls[0]["model_call_id"], calls[1]["model_call_id"]);
    assert_ne!(calls[0]["call_id"], calls[1]["call_id"]);
}

#[test]
fn failures_look_like_the_clis() {
    for (model, code, stderr, stdout) in [
        ("login", 1, "Authentication required", ""),
        ("rate-limit", 1, "[resource_exhausted]", ""),
        ("untrusted", 1, "Workspace Trust Required", ""),
        ("crash", 1, "TypeError", ""),
        ("exit-zero", 0, "", "could not reach"),
        (
            "usage-limit",
            1,
            "",
            "ActionRequiredError: You've hit your usage limit",
        ),
        ("truncated", 1, "", "breaks"),
    ] {
        let line = format!(
            "-p --output-format stream-json --stream-partial-output --trust --replay-pace 0 \
             --model replay-error-{model}"
        );
        let (got, out, err) = agent(&line, "hi");
        assert_eq!(got, code, "{model}");
        assert!(
            err.contains(stderr) && out.contains(stdout),
            "{model}: {out}{err}"
        );
        assert_eq!(err.is_empty(), stderr.is_empty(), "{model}: {err}");
        assert_eq!(out.is_empty(), stdout.is_empty(), "{model}: {out}");
    }
}

#[test]
fn checks_before_a_run() {
    for (line, message) in [
        ("-p --fork", "error: unknown option '--fork'\n"),
        (
            "-p --output-format stream-json --model auto",
            "Workspace Trust Required",
        ),
        (
            "-p --output-format stream-json --trust --model nope",
            "Cannot use this model: nope. Available models: auto, replay, replay-thinking, ",
        ),
        (
            "-p --trust --workspace /no/such/dir",
            "Error: Workspace directory does not exist: /no/such/dir\n",
        ),
        ("-p --trust", "only --output-format stream-json"),
        (
            "-p --trust --format json",
            "error: unknown option '--format'",
        ),
    ] {
        let (code, out, err) = agent(line, "hi");
        assert_eq!((code, out.as_str()), (1, ""), "{line}");
        assert!(err.contains(message), "{line}: {err}");
    }
}

#[test]
fn other_commands() {
    let (_, models, _) = agent("models", "");
    assert_eq!(models, agent("--list-models", "").1);
    assert!(models.starts_with("Available models\n\nauto - Auto (default)\nreplay - Replay\n"));
    let (_, status, _) = agent("status --format json", "");
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["isAuthenticated"], true);
    assert!(agent("--version", "").1.contains("replay"));
    assert!(agent("login", "").1.contains("replay agent"));
    assert_eq!(agent("create-chat", "").1.len(), 37);
}

#[test]
fn a_reader_that_went_away_ends_it_quietly() {
    struct Closed;
    impl io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut stderr = Vec::new();
    let line = format!("{STREAM} --replay-pace 0 hi");
    let args = line.split(' ').map(OsString::from);
    assert_eq!(main(args, io::empty(), Closed, &mut stderr), 1);
    assert!(stderr.is_empty());
}
