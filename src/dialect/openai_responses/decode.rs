//! A Responses request as a [`Turn`].

use std::sync::Arc;

use super::{
    encode::ResponsesReply,
    input,
    response::ResponseHead,
    store::{Exchange, NewResponse, Store, join},
};
use crate::{
    dialect::{
        Request, Stamp, common,
        field::{self, Field},
        format, limits, parameters, tools,
    },
    turn::{ErrorKind, Message, OutputRules, Role, Turn, TurnError},
};

/// Reads a request body, which may continue a response of the store.
pub fn request(
    body: &[u8],
    stamp: &Stamp,
    store: Option<&Arc<Store>>,
) -> Result<Request, TurnError> {
    let value = field::parse(body)?;
    let body = Field::root(&value);
    let mut ignored = parameters::ignored(&body, super::PARAMETERS)?;
    let mut turn = common::turn(&body)?;
    let (forms, left_out) = tools::read(&body, &mut turn)?;
    ignored.extend(left_out);
    let mut messages = Vec::from_iter(instructions(&body)?);
    let owner = stamp.owner.as_deref();
    let said = said(&body, &|id| store?.item(owner, id))?;
    let before = continued(&body, owner, store)?;
    if let Some(before) = &before {
        before.conversation(&mut messages);
    }
    // As at OpenAI, a response is stored unless the request says no.
    let wants_store = body.opt_bool("store")?.unwrap_or(true);
    let kept_in = store.filter(|_| wants_store);
    let head = ResponseHead::new(stamp, &turn.model, kept_in.is_some(), &body);
    let keep = kept_in.map(|store| {
        let new = NewResponse {
            id: head.response_id(),
            owner: stamp.owner.clone(),
            before,
            messages: said.clone(),
            output: Vec::new(),
        };
        (Arc::clone(store), new)
    });
    join(&mut messages, said);
    let (effort, shows_reasoning) = reasoning(&body)?;
    let turn = Turn {
        messages,
        reasoning_effort: effort,
        output: OutputRules {
            stop: Vec::new(),
            max_tokens: limits::max_tokens(&body, &["max_output_tokens"])?,
            format: format::format(body.member("text").get("format"))?,
        },
        ..turn
    };
    let reply = ResponsesReply::new(head, shows_reasoning, forms, keep, is_codex(&body));
    Ok(Request {
        turn,
        others: Vec::new(),
        stream: common::stream(&body)?,
        ignored,
        reply: Box::new(reply),
    })
}

/// Whether Codex sent it: it names its session in `client_metadata`.
fn is_codex(body: &Field<'_>) -> bool {
    let metadata = body.member("client_metadata").value.as_object();
    metadata.is_some_and(|members| members.keys().any(|key| key.starts_with("x-codex-")))
}

/// The effort, and whether the reasoning is to be shown.
fn reasoning(body: &Field<'_>) -> Result<(Option<String>, bool), TurnError> {
    let reasoning = body.member("reasoning");
    let effort = reasoning.opt_str("effort")?.map(str::to_owned);
    let shown = reasoning.get_any(&["summary", "generate_summary"]);
    Ok((
        effort,
        shown.is_some_and(|summary| summary.value.as_str() != Some("none")),
    ))
}

/// The response that the request continues.
fn continued(
    body: &Field<'_>,
    owner: Option<&str>,
    store: Option<&Arc<Store>>,
) -> Result<Option<Arc<Exchange>>, TurnError> {
    let field = body.get("previous_response_id");
    let Some(field) = field.filter(|field| field.value.as_str() != Some("")) else {
        return Ok(None);
    };
    let Some(store) = store else {
        return Err(field.fail(
            "is not supported: this server was started with `--responses-store 0`; \
             send the whole conversation in `input` with `store: false`",
        ));
    };
    let id = field.str()?;
    let found = store.find(owner, id).ok_or_else(|| TurnError {
        kind: ErrorKind::UnknownResponse,
        ..field.fail(format_args!(
            "previous response with id '{id}' not found: {}; \
             send the whole conversation in `input` with `store: false`",
            store
                .problem()
                .unwrap_or("it was never stored, or is too old")
        ))
    });
    found.map(Some)
}

/// The conversation in `instructions` and `input`.
///
/// # Errors
/// An input that is missing, empty or can't be passed on.
pub(in crate::dialect) fn messages(body: &Field<'_>) -> Result<Vec<Message>, TurnError> {
    let instructions = instructions(body)?.into_iter();
    Ok(instructions.chain(said(body, &|_| None)?).collect())
}

fn instructions(body: &Field<'_>) -> Result<Option<Message>, TurnError> {
    let text = body.opt_str("instructions")?;
    Ok(text.map(|text| Message::text(Role::System, text)))
}

/// The conversation in `input`.
fn said(body: &Field<'_>, stored: input::StoredItems<'_>) -> Result<Vec<Message>, TurnError> {
    let mut messages = Vec::new();
    let list = body.require("input")?;
    if list.value.is_string() {
        messages.push(Message::text(Role::User, list.str()?));
        return Ok(messages);
    }
    for item in list.items()? {
        input::add(&item, stored, &mut messages)?;
    }
    if messages.is_empty() {
        return Err(list.fail("must hold at least one message"));
    }
    Ok(messages)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::turn::{ErrorKind, Part, ToolCall, ToolChoice};

    fn read(body: &Value) -> Result<Request, TurnError> {
        let stamp = Stamp {
            id: "1".to_owned(),
            created: 1,
            owner: None,
        };
        request(body.to_string().as_bytes(), &stamp, None)
    }

    #[test]
    fn a_text() {
        let turn = read(&json!({"instructions": "be brief", "input": "hi"}))
            .unwrap()
            .turn;
        assert_eq!(
            turn.messages,
            [
                Message::text(Role::System, "be brief"),
                Message::text(Role::User, "hi")
            ]
        );
    }

    #[test]
    fn a_tool_loop() {
        let request = read(&json!({
            "model": "auto", "stream": true, "store": false, "temperature": 1, "parallel_tool_calls": false,
            "reasoning": {"effort": "high", "summary": "auto"}, "max_output_tokens": 9,
            "input": [
                {"type": "message", "id": "m", "role": "developer", "content": [{"type": "input_text", "text": "rules"}]},
                {"role": "user", "content": "patch it"},
                {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "x"},
                {"type": "message", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": "I will.", "annotations": []}]},
                {"type": "function_call", "call_id": "c1", "name": "ls", "namespace": "fs", "arguments": "{}"},
                {"type": "custom_tool_call", "call_id": "c2", "name": "patch", "input": "*** Begin"},
                {"type": "function_call_output", "call_id": "c1", "output": "a.txt"},
                {"type": "custom_tool_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "done"}]},
            ],
            "tools": [
                {"type": "namespace", "name": "fs", "tools": [{"type": "function", "name": "ls"}]},
                {"type": "custom", "name": "patch"},
                {"type": "web_search", "external_web_access": false},
            ],
            "tool_choice": {"type": "custom", "name": "patch"},
        }))
        .unwrap();
        assert!(request.stream);
        assert_eq!(request.ignored, ["temperature", "tools.web_search"]);
        let turn = request.turn;
        let roles: Vec<Role> = turn.messages.iter().map(|message| message.role).collect();
        assert_eq!(
            roles,
            [
                Role::System,
                Role::User,
                Role::Assistant,
                Role::Tool,
                Role::Tool
            ]
        );
        let call = |id: &str, name: &str, arguments: &str| {
            Part::ToolCall(ToolCall {
                id: id.to_owned(),
                name: name.to_owned(),
                arguments: arguments.to_owned(),
            })
        };
        assert_eq!(
            turn.messages[2].parts,
            [
                Part::Text("I will.".to_owned()),
                call("c1", "fs__ls", "{}"),
                call("c2", "patch", r#"{"input":"*** Begin"}"#),
            ]
        );
        let result = turn.messages[4].tool_results().next().unwrap();
        assert_eq!(
            (result.call_id.as_str(), result.content.as_str()),
            ("c2", "done")
        );
        let names: Vec<&str> = turn.tools.iter().map(|tool| tool.name.as_str()).collect();
        assert_eq!(names, ["fs__ls", "patch"]);
        assert_eq!(
            turn.tool_choice,
            ToolChoice::Named(vec!["patch".to_owned()])
        );
        assert!(!turn.parallel_tool_calls);
        assert_eq!(turn.reasoning_effort.as_deref(), Some("high"));
        assert_eq!(turn.output.max_tokens, Some(9));
    }

    #[test]
    fn a_call_without_words_before_it() {
        let turn = read(&json!({"input": [
            {"role": "user", "content": "go"},
            {"type": "function_call", "call_id": "c", "name": "ls", "arguments": "{}"},
        ]}))
        .unwrap()
        .turn;
        assert_eq!(turn.messages[1].role, Role::Assistant);
    }

    #[test]
    fn faults_are_named_by_path() {
        let cases = [
            (json!({}), "input"),
            (json!({"input": []}), "input"),
            (json!({"input": 3}), "input"),
            (
                json!({"input": [{"type": "item_reference", "id": "x"}]}),
                "input[0]",
            ),
            (json!({"input": [{"id": "x"}]}), "input[0]"),
            (
                json!({"input": [{"id": "x", "content": "a"}]}),
                "input[0].role",
            ),
            (
                json!({"input": [{"type": "computer_call"}]}),
                "input[0].type",
            ),
            (
                json!({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}),
                "input[0].content[0].image_url",
            ),
            (
                json!({"input": [{"type": "function_call", "name": "a"}]}),
                "input[0].call_id",
            ),
            (
                json!({"input": "hi", "previous_response_id": "resp_1"}),
                "previous_response_id",
            ),
            (
                json!({"input": "hi", "conversation": {"id": "c"}}),
                "conversation",
            ),
            (json!({"input": "hi", "background": true}), "background"),
            (json!({"input": "hi", "store": "false"}), "store"),
            (json!({"input": "hi", "text": "json"}), "text"),
            (json!({"input": "hi", "reasoning": "high"}), "reasoning"),
            (
                json!({"input": "hi", "tools": [{"type": "file_search"}]}),
                "tools[0]",
            ),
            (
                json!({"input": "hi", "tools": [{"type": "mcp", "server_label": "x"}]}),
                "tools[0]",
            ),
            (
                json!({"input": "hi", "tool_choice": {"type": "file_search"}}),
                "tool_choice",
            ),
        ];
        for (body, path) in cases {
            let Err(error) = read(&body) else {
                panic!("accepted: {body}");
            };
            assert_eq!(error.kind, ErrorKind::InvalidRequest);
            assert_eq!(error.param.as_deref(), Some(path), "{body}");
        }
    }
}
