//! Each case of `fixtures/turns` holds a chat request and what the agent prints; the prompt, the
//! stream and the whole answer must be as recorded. `OPEN_CURSOR_BLESS=1` records them anew.
//!
//! The same request in every other dialect must mean the same turn, and its answer must say the
//! same. Cases named `forms-…` are chat requests in another vendor's form, and are not translated.

use std::{
    fs,
    path::{Path, PathBuf},
};

use open_cursor::engine::EstimateUsage;
use open_cursor::{
    dialect::{self, Ask, Stamp},
    prompt,
    turn::{Message, Part, Turn},
};
use serde_json::{Value, json};

use crate::support::{
    TestServer,
    wire::{Chat, Completions, OTHERS, Said, Wire},
};

#[tokio::test]
async fn golden_cases() {
    let server = TestServer::with(|setup| {
        // It goes on from what earlier cases cost.
        setup.engine.estimate_usage = EstimateUsage::Off;
    })
    .await;
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/turns");
    let mut cases: Vec<PathBuf> = fs::read_dir(cases)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    assert!(cases.len() >= 14, "{cases:?}");
    let mut wrong = Vec::new();
    for case in cases {
        let request = fs::read(case.join("request.json")).unwrap();
        let chat: Value = serde_json::from_slice(&request).unwrap();
        let turn = decode(&Chat, &chat);
        let prompt = prompt::render(&turn, None, &[]);
        compare(&case.join("prompt.txt"), &prompt, &mut wrong);

        server.play(&case.join("agent.ndjson"));
        let wanted = run(&server, &Chat, &chat, &case, &mut wrong).await;
        let name = case.file_name().unwrap().to_str().unwrap();
        let others = if name.starts_with("forms-") {
            &[]
        } else {
            OTHERS
        };
        for wire in others {
            let Some(request) = wire.request(&chat) else {
                continue;
            };
            let other = decode(*wire, &request);
            assert_eq!(
                nameless(other.messages),
                nameless(turn.messages.clone()),
                "{}: {}",
                wire.name(),
                case.display()
            );
            assert_eq!(
                other.tools,
                turn.tools,
                "{}: {}",
                wire.name(),
                case.display()
            );
            let said = run(&server, *wire, &request, &case, &mut wrong).await;
            for (said, wanted) in said.iter().zip(&wanted) {
                let what = format!("{}: {}", wire.name(), case.display());
                assert_eq!(said.text, wanted.text, "{what}");
                // Completions have no place for it.
                if !said.reasoning.is_empty() || wire.name() != Completions.name() {
                    assert_eq!(said.reasoning, wanted.reasoning, "{what}");
                }
                assert_eq!(said.calls, wanted.calls, "{what}");
                assert_eq!(said.error, wanted.error, "{what}");
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What each case's answer says is said by a model of the bridge: every dialect has the same answer.
#[tokio::test]
async fn golden_cases_through_the_bridge() {
    let server = TestServer::bridge(|_| {}).await;
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/turns");
    let mut played = 0;
    for case in fs::read_dir(cases)
        .unwrap()
        .map(|case| case.unwrap().path())
    {
        let read = |name: &str| fs::read_to_string(case.join(name)).unwrap();
        let recorded = read("response.json");
        let Some(recorded) = recorded.strip_prefix("200 ") else {
            continue;
        };
        let wanted = Chat.whole(&serde_json::from_str(recorded).unwrap());
        // The budget of a case is not the model's doing, and neither is what a guard says.
        if wanted.finish == "length" || wanted.text.contains("Stopped:") {
            continue;
        }
        let mut lines = vec![format!("THINK {}", json!(wanted.reasoning))];
        lines.push(format!("SAY {}", json!(wanted.text)));
        lines.extend(
            wanted
                .calls
                .iter()
                .map(|(name, args)| format!("CALL {name} {args}")),
        );
        let mut chat: Value = serde_json::from_str(&read("request.json")).unwrap();
        chat["model"] = "fake-lines".into();
        let Some(messages) = chat["messages"].as_array_mut() else {
            continue;
        };
        messages.push(json!({"role": "user", "content": lines.join("\n")}));
        let name = case.file_name().unwrap().to_str().unwrap();
        let others = if name.starts_with("forms-") {
            &[]
        } else {
            OTHERS
        };
        for wire in [&Chat as &dyn Wire].iter().chain(others) {
            let Some(mut request) = wire.request(&chat) else {
                continue;
            };
            for stream in [true, false] {
                request["stream"] = stream.into();
                let answer = server.ask(*wire, &request).await;
                let what = format!("{}: {}", wire.name(), case.display());
                assert_eq!(answer.status, 200, "{what}: {}", answer.body);
                let mut said = if stream {
                    wire.stream(&answer.body)
                } else {
                    wire.whole(&answer.json())
                };
                // Calls that are made at once may come in any order.
                said.calls
                    .sort_by_key(|(name, args)| (name.clone(), args.to_string()));
                let mut calls = wanted.calls.clone();
                calls.sort_by_key(|(name, args)| (name.clone(), args.to_string()));
                assert_eq!((&said.text, &said.calls), (&wanted.text, &calls), "{what}");
                played += 1;
            }
        }
    }
    assert!(played >= 100, "{played}");
}

/// Without the names of the tools that results answer: only some dialects repeat them.
fn nameless(mut messages: Vec<Message>) -> Vec<Message> {
    for part in messages.iter_mut().flat_map(|message| &mut message.parts) {
        if let Part::ToolResult(result) = part {
            result.name = None;
        }
    }
    messages
}

fn decode(wire: &dyn Wire, request: &Value) -> Turn {
    let dialect = dialect::all(0)
        .into_iter()
        .find(|dialect| wire.path() == dialect.path())
        .unwrap();
    let stamp = Stamp {
        id: "1".to_owned(),
        created: 1,
        owner: None,
    };
    let (path, body) = wire.send(request);
    let (path, query) = path.split_once('?').unwrap_or((&path, ""));
    let Some(Ask::Answer(target)) = dialect.route(path, query) else {
        panic!("{path} is not a path of its dialect");
    };
    let body = body.to_string();
    let request = dialect.decode(body.as_bytes(), target, stamp);
    request.unwrap().turn
}

/// What the answer says, streamed and whole.
async fn run(
    server: &TestServer,
    wire: &dyn Wire,
    request: &Value,
    case: &Path,
    wrong: &mut Vec<String>,
) -> [Said; 2] {
    let mut request = request.clone();
    let model = request["model"].as_str().unwrap().to_owned();
    request["model"] = "fake-play".into();
    let workspace = server.workspace.path().canonicalize().unwrap();
    // Responses repeat the request.
    let tools = request.get("tools").map(Value::to_string);
    let tools = tools.as_deref().unwrap_or("\"no tools\"");
    let mut said = [Said::default(), Said::default()];
    for (at, stream) in [true, false].into_iter().enumerate() {
        request["stream"] = stream.into();
        let answer = server.ask(wire, &request).await;
        let body = answer
            .body
            .replace("fake-play", &model)
            .replace(tools, "\"TOOLS\"")
            .replace(workspace.to_str().unwrap(), "/workspace");
        let ending = if stream { "sse" } else { "json" };
        let file = case.join(format!("{}.{ending}", wire.name()));
        let recorded = format!("{} {}", answer.status, number_ids(&body));
        compare(&file, &recorded, wrong);
        said[at] = match (answer.status, stream) {
            (200, true) => wire.stream(&answer.body),
            (200, false) => wire.whole(&answer.json()),
            _ => Said {
                error: Some(wire.error(&answer.json())),
                ..Said::default()
            },
        };
    }
    said
}

fn compare(file: &Path, found: &str, wrong: &mut Vec<String>) {
    if std::env::var_os("OPEN_CURSOR_BLESS").is_some() {
        fs::write(file, found).unwrap();
        return;
    }
    let wanted = fs::read_to_string(file).unwrap_or_default();
    if wanted != found {
        wrong.push(format!(
            "{}:\nwanted: {wanted}\nfound:  {found}",
            file.display()
        ));
    }
}

/// Replaces what differs from run to run: the answer's id and time, and the ids of calls.
fn number_ids(body: &str) -> String {
    let mut body = body.to_owned();
    for prefix in ["chatcmpl-", "cmpl-", "resp_", "msg_", "rs_", "fc_"] {
        body = replace_each(
            &body,
            prefix,
            |c| c.is_ascii_alphanumeric(),
            |_| "ID".to_owned(),
        );
    }
    let body = replace_each(
        &body,
        "\"created\":",
        |c| c.is_ascii_digit(),
        |_| "0".to_owned(),
    );
    let body = replace_each(
        &body,
        "\"created_at\":",
        |c| c.is_ascii_digit(),
        |_| "0".to_owned(),
    );
    let body = replace_each(
        &body,
        "\"responseId\":\"",
        |c| c.is_ascii_alphanumeric(),
        |_| "ID".to_owned(),
    );
    let mut seen: Vec<String> = Vec::new();
    replace_each(
        &body,
        "call_",
        |c| c.is_ascii_alphanumeric() || c == '_',
        |id| {
            if !id.chars().any(|c| c.is_ascii_digit()) {
                return id.to_owned();
            }
            let at = seen
                .iter()
                .position(|other| other == id)
                .unwrap_or_else(|| {
                    seen.push(id.to_owned());
                    seen.len() - 1
                });
            (at + 1).to_string()
        },
    )
}

fn replace_each(
    text: &str,
    marker: &str,
    belongs: fn(char) -> bool,
    mut new: impl FnMut(&str) -> String,
) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(marker) {
        let (before, after) = rest.split_at(at);
        out += before;
        out += marker;
        rest = &after[marker.len()..];
        // The end of an id may look like the beginning of another.
        if before.ends_with(|c: char| c.is_ascii_alphanumeric()) {
            continue;
        }
        let end = rest.find(|c| !belongs(c)).unwrap_or(rest.len());
        out += &new(&rest[..end]);
        rest = &rest[end..];
    }
    out += rest;
    out
}

#[test]
fn an_id_that_ends_like_a_prefix_is_one_id() {
    assert_eq!(number_ids("\"fc_18eafc_0\""), "\"fc_ID_0\"");
    assert_eq!(number_ids("fc_1 fc_2"), "fc_ID fc_ID");
}
