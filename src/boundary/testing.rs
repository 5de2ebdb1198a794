//! Tool sets and event builders for the boundary's tests, written for them.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{BoundaryOptions, Fact, Need, Translator, Verdict};
use crate::agent::{AgentEvent, NativeCall, NativeOutcome, RunResult};
use crate::turn::{Delta, FinishReason, Message, Part, Role, ToolCall, ToolResult, ToolSpec, Turn};

pub(super) const WORKSPACE: &str = "/home/ada/engine";

pub(super) fn tool(
    name: &str,
    description: &str,
    properties: Value,
    required: &[&str],
) -> ToolSpec {
    ToolSpec {
        name: name.to_owned(),
        description: description.to_owned(),
        schema: json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": properties,
            "required": required,
        })
        .into(),
    }
}

/// Tools with the names and arguments of OpenCode's.
pub(super) fn opencode() -> Vec<ToolSpec> {
    let text = |about: &str| json!({"type": "string", "description": about});
    let whole = |about: &str| json!({"type": "integer", "minimum": 0, "description": about});
    vec![
        tool(
            "bash",
            "Runs a command.",
            json!({
                "command": text("What to run"),
                "timeout": {"type": "integer", "exclusiveMinimum": 0, "description": "Limit in milliseconds"},
                "workdir": text("Where to run it"),
            }),
            &["command"],
        ),
        tool(
            "read",
            "Reads a file or lists a directory.",
            json!({
                "filePath": text("The absolute path of the file or directory"),
                "offset": whole("First line, from 1"),
                "limit": whole("How many lines"),
            }),
            &["filePath"],
        ),
        tool(
            "write",
            "Writes a file.",
            json!({
                "content": text("The whole text"),
                "filePath": text("The absolute path of the file"),
            }),
            &["content", "filePath"],
        ),
        tool(
            "edit",
            "Replaces text in a file.",
            json!({
                "filePath": text("The absolute path of the file"),
                "oldString": text("What to replace"),
                "newString": text("What to put there"),
                "replaceAll": {"type": "boolean"},
            }),
            &["filePath", "oldString", "newString"],
        ),
        tool(
            "glob",
            "Finds files.",
            json!({"pattern": text("The pattern"), "path": text("Where to look")}),
            &["pattern"],
        ),
        tool(
            "grep",
            "Searches files.",
            json!({
                "pattern": text("The regex"),
                "path": text("Where to look"),
                "include": text("Which files"),
            }),
            &["pattern"],
        ),
        tool(
            "todowrite",
            "Keeps the list of things to do.",
            json!({"todos": {"type": "array", "items": {
                "type": "object",
                "properties": {
                    "content": text("What"),
                    "status": text("pending, in_progress, completed or cancelled"),
                    "priority": text("high, medium or low"),
                },
                "required": ["content", "status", "priority"],
            }}}),
            &["todos"],
        ),
        tool(
            "task",
            "Starts a subagent.",
            json!({
                "description": text("3 to 5 words"),
                "prompt": text("What it is to do"),
                "subagent_type": text("Which agent"),
                "task_id": text("To go on with an earlier one"),
                "command": text("The command behind it"),
            }),
            &["description", "prompt", "subagent_type"],
        ),
        tool(
            "skill",
            "Loads a skill.",
            json!({"name": text("Its name")}),
            &["name"],
        ),
        tool(
            "webfetch",
            "Fetches a page.",
            json!({
                "url": text("The address"),
                "format": {"type": "string", "enum": ["text", "markdown", "html"], "default": "markdown"},
                "timeout": {"type": "number", "description": "Limit in seconds"},
            }),
            &["url"],
        ),
        tool(
            "question",
            "Asks the user.",
            json!({"questions": {"type": "array", "items": {
                "type": "object",
                "properties": {
                    "question": text("All of it"),
                    "header": text("At most 30 characters"),
                    "options": {"type": "array", "items": {
                        "type": "object",
                        "properties": {"label": text("Short"), "description": text("Longer")},
                        "required": ["label", "description"],
                    }},
                    "multiple": {"type": "boolean"},
                },
                "required": ["question", "header", "options"],
            }}}),
            &["questions"],
        ),
    ]
}

/// OpenCode's set for gpt-* models: patches in place of edit and write.
pub(super) fn opencode_gpt() -> Vec<ToolSpec> {
    let mut tools = opencode();
    tools.retain(|tool| tool.name != "edit" && tool.name != "write");
    tools.push(tool(
        "apply_patch",
        "Applies a patch.",
        json!({"patchText": {"type": "string"}}),
        &["patchText"],
    ));
    tools
}

pub(super) fn turn(tools: Vec<ToolSpec>) -> Turn {
    Turn {
        messages: vec![Message::text(Role::User, "Please.")],
        tools,
        parallel_tool_calls: true,
        ..Turn::default()
    }
}

pub(super) fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("not an object: {other}"),
    }
}

/// A native call as its announcement describes it.
pub(super) fn native(kind: &str, id: &str, args: Value) -> NativeCall {
    NativeCall {
        call_id: id.to_owned(),
        model_call_id: Some("request-0".to_owned()),
        kind: kind.to_owned(),
        args: (!args.is_null()).then(|| map(args)),
        outcome: None,
    }
}

/// The same call, completed.
pub(super) fn done(call: &NativeCall, outcome: &str, body: Value) -> AgentEvent {
    AgentEvent::ToolCompleted(Box::new(NativeCall {
        outcome: Some(NativeOutcome {
            name: outcome.to_owned(),
            body: body.into(),
        }),
        ..call.clone()
    }))
}

pub(super) fn finished(text: &str) -> AgentEvent {
    AgentEvent::Finished(Box::new(RunResult {
        text: text.to_owned(),
        ..RunResult::default()
    }))
}

/// The text in deltas.
pub(super) fn text_of(deltas: &[Delta]) -> String {
    let text = |delta: &Delta| match delta {
        Delta::Text(text) => Some(text.clone()),
        _ => None,
    };
    deltas.iter().filter_map(text).collect()
}

/// What a run came to.
#[derive(Debug, Default)]
pub(super) struct TestRun {
    pub deltas: Vec<Delta>,
    pub end: Option<FinishReason>,
}

impl TestRun {
    pub(super) fn text(&self) -> String {
        text_of(&self.deltas)
    }

    /// Does what the engine does: every file exists, and the view shows no change.
    pub(super) fn follow(&mut self, boundary: &mut Translator, mut verdict: Verdict) {
        loop {
            let fact = match verdict {
                Verdict::Need(Need::Exists(file)) => Fact::Exists(file, true),
                Verdict::Need(Need::Changes) => Fact::Changes(Vec::new()),
                Verdict::Calls(calls) => {
                    let calls = calls
                        .into_iter()
                        .map(|ready| Delta::ToolCall(Box::new(ready.call)));
                    self.deltas.extend(calls);
                    self.end = Some(FinishReason::ToolCalls);
                    return;
                }
                Verdict::Stop(reason) => {
                    self.end = Some(reason);
                    return;
                }
                Verdict::Continue | Verdict::Settling => return,
            };
            verdict = boundary.learn(fact, &mut self.deltas);
        }
    }

    pub(super) fn calls(&self) -> Vec<&ToolCall> {
        self.deltas
            .iter()
            .filter_map(|delta| match delta {
                Delta::ToolCall(call) => Some(&**call),
                _ => None,
            })
            .collect()
    }

    /// The calls as name and arguments.
    pub(super) fn named(&self) -> Vec<(String, Value)> {
        self.calls()
            .iter()
            .map(|call| {
                let arguments = serde_json::from_str(&call.arguments).unwrap();
                (call.name.clone(), arguments)
            })
            .collect()
    }
}

/// Feeds events until the turn ends; settles where the engine would after the last one.
pub(super) fn run(
    turn: &Turn,
    options: &BoundaryOptions,
    events: impl IntoIterator<Item = AgentEvent>,
) -> TestRun {
    let mut boundary = Translator::new(turn, Path::new(WORKSPACE), options);
    let mut outcome = TestRun::default();
    for event in events {
        let verdict = boundary.on_event(event, &mut outcome.deltas);
        outcome.follow(&mut boundary, verdict);
        if outcome.end.is_some() {
            return outcome;
        }
    }
    let verdict = boundary.settle(&mut outcome.deltas);
    outcome.follow(&mut boundary, verdict);
    outcome
}

/// The calls that one announced native call becomes.
pub(super) fn calls(tools: Vec<ToolSpec>, kind: &str, args: Value) -> Vec<(String, Value)> {
    let event = AgentEvent::ToolStarted(Box::new(native(kind, "c1", args)));
    run(&turn(tools), &BoundaryOptions::default(), [event]).named()
}

/// One earlier round: the calls of an answer with their results.
pub(super) type Round<'a> = &'a [(&'a str, Value, &'a str)];

/// Adds rounds to a conversation.
pub(super) fn with_rounds<'a>(mut turn: Turn, rounds: impl IntoIterator<Item = Round<'a>>) -> Turn {
    for round in rounds {
        let first = turn.messages.len();
        let id = |index: usize| format!("call_{first}_{index}");
        let calls = round.iter().enumerate().map(|(index, (name, args, _))| {
            Part::ToolCall(ToolCall {
                id: id(index),
                name: (*name).to_owned(),
                arguments: args.to_string(),
            })
        });
        turn.messages.push(Message {
            role: Role::Assistant,
            parts: calls.collect(),
        });
        for (index, (_, _, content)) in round.iter().enumerate() {
            turn.messages.push(Message {
                role: Role::Tool,
                parts: vec![Part::ToolResult(ToolResult {
                    call_id: id(index),
                    name: None,
                    content: (*content).to_owned(),
                    is_error: false,
                })],
            });
        }
    }
    turn
}
