//! A chat completion request as a [`Turn`].

use super::{calls::CallEncoder, encode::ChatReply};
use crate::{
    dialect::{
        Request, Stamp, choices, common, content,
        field::{self, Field},
        format, limits, openai_responses, parameters, tools, x_cursor,
    },
    turn::{Message, OutputRules, Part, Role, ToolCall, ToolResult, Turn, TurnError},
};

/// Reads a request body.
pub fn request(body: &[u8], stamp: Stamp) -> Result<Request, TurnError> {
    let value = field::parse(body)?;
    let body = Field::root(&value);

    let mut ignored = parameters::ignored(&body, super::PARAMETERS)?;
    let mut turn = common::turn(&body)?;
    let (forms, left_out) = tools::read(&body, &mut turn)?;
    ignored.extend(left_out);
    let choices = choices::count(&body, "n")?;
    let legacy_functions = body.get("functions").is_some() && body.get("tools").is_none();
    let turn = Turn {
        messages: messages(&body)?,
        // The legacy form has room for one call only.
        parallel_tool_calls: turn.parallel_tool_calls && !legacy_functions,
        reasoning_effort: effort(&body)?,
        output: OutputRules {
            stop: limits::stop(&body, "stop")?,
            max_tokens: limits::max_tokens(
                &body,
                &["max_completion_tokens", "max_tokens", "max_output_tokens"],
            )?,
            format: format::format(body.get("response_format"))?,
        },
        ..turn
    };
    let reply = ChatReply::new(
        &stamp,
        &turn.model,
        choices,
        common::include_usage(&body)?,
        CallEncoder::new(legacy_functions, forms),
        x_cursor::Wish::of(&body)?.activity,
    );
    Ok(Request {
        others: std::iter::repeat_n(&turn, choices - 1).cloned().collect(),
        turn,
        stream: common::stream(&body)?,
        ignored,
        reply: Box::new(reply),
    })
}

/// The effort under this dialect's name, or under that of Responses.
fn effort(body: &Field<'_>) -> Result<Option<String>, TurnError> {
    let effort = match body.opt_str("reasoning_effort")? {
        None => body.member("reasoning").opt_str("effort")?,
        given => given,
    };
    Ok(effort.map(str::to_owned))
}

/// The conversation; some clients send that of Responses to this path.
fn messages(body: &Field<'_>) -> Result<Vec<Message>, TurnError> {
    if body.get("messages").is_none() && body.get("input").is_some() {
        return openai_responses::messages(body);
    }
    common::messages(body, message)
}

fn message(item: &Field<'_>) -> Result<Message, TurnError> {
    item.object()?;
    let field = item.require("role")?;
    let role = match field.str()? {
        "system" | "developer" => Role::System,
        "user" => Role::User,
        "assistant" | "model" => Role::Assistant,
        "tool" | "function" => Role::Tool,
        _ => return Err(field.must_be("system, developer, user, assistant or tool")),
    };
    let content = item.get_any(&["content", "parts"]);
    let content = content.unwrap_or_else(|| item.member("content"));
    if role == Role::Tool {
        return tool_message(item, &content);
    }
    let mut parts = content::parts(&content)?;
    if let Some(calls) = item.get("tool_calls") {
        for call in calls.items()? {
            parts.push(Part::ToolCall(tool_call(&call)?));
        }
    }
    if let Some(call) = item.get("function_call") {
        let name = call.require("name")?.str()?;
        parts.push(Part::ToolCall(ToolCall {
            id: name.to_owned(),
            name: name.to_owned(),
            arguments: content::arguments(call.get("arguments")),
        }));
    }
    Ok(Message::of(role, parts))
}

fn tool_call(call: &Field<'_>) -> Result<ToolCall, TurnError> {
    call.object()?;
    let inner = call.get_any(&["function", "custom"]).unwrap_or(*call);
    Ok(ToolCall {
        id: call.require("id")?.str()?.to_owned(),
        name: inner.require("name")?.str()?.to_owned(),
        arguments: content::arguments(inner.get_any(&["arguments", "input"])),
    })
}

/// `role: "tool"`, and the legacy `role: "function"`, whose name is all the id there is.
fn tool_message(item: &Field<'_>, content: &Field<'_>) -> Result<Message, TurnError> {
    let name = item.opt_str("name")?;
    let id = match item.opt_str("tool_call_id")?.or(name) {
        Some(id) => id,
        None => {
            // Claude and Gemini put the id into the content.
            let parts = content::parts(content)?;
            let is_result = |part: &Part| matches!(part, Part::ToolResult(_));
            if !parts.is_empty() && parts.iter().all(is_result) {
                return Ok(Message {
                    role: Role::Tool,
                    parts,
                });
            }
            item.require("tool_call_id")?.str()?
        }
    };
    let (text, files) = content::output(content)?;
    let result = ToolResult {
        call_id: id.to_owned(),
        name: name.map(str::to_owned),
        content: text,
        is_error: item.opt_bool("is_error")?.unwrap_or(false),
    };
    Ok(Message::result(result, files))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::turn::{ErrorKind, ToolChoice};

    fn read(body: &Value) -> Result<Request, TurnError> {
        let stamp = Stamp {
            id: "1".to_owned(),
            created: 1,
            owner: None,
        };
        request(body.to_string().as_bytes(), stamp)
    }

    fn error(body: &Value) -> TurnError {
        match read(body) {
            Ok(_) => panic!("accepted: {body}"),
            Err(error) => error,
        }
    }

    #[test]
    fn a_tool_loop() {
        let request = read(&json!({
            "model": "cursor-acp/auto",
            "stream": true,
            "messages": [
                {"role": "developer", "content": "be brief"},
                {"role": "user", "content": [{"type": "text", "text": "read a"}]},
                {"role": "assistant", "content": null, "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "read", "arguments": "{\"filePath\":\"a\"}"}}
                ], "reasoning_content": "hm", "provider_specific_fields": null},
                {"role": "tool", "tool_call_id": "c1", "content": "hello"},
            ],
            "tools": [{"type": "function", "function": {"name": "read", "parameters": {"type": "object"}}}],
            "tool_choice": "auto",
        }))
        .unwrap();
        assert!(request.stream);
        let turn = request.turn;
        assert_eq!(turn.model, "cursor-acp/auto");
        let roles: Vec<Role> = turn.messages.iter().map(|message| message.role).collect();
        assert_eq!(
            roles,
            [Role::System, Role::User, Role::Assistant, Role::Tool]
        );
        assert_eq!(turn.messages[2].tool_calls().next().unwrap().id, "c1");
        let result = turn.messages[3].tool_results().next().unwrap();
        assert_eq!(
            (result.call_id.as_str(), result.content.as_str()),
            ("c1", "hello")
        );
        assert!(turn.parallel_tool_calls && turn.tool_choice == ToolChoice::Auto);
    }

    #[test]
    fn results_in_user_messages_make_no_user_turn() {
        let body = |content: Value| {
            json!({"messages": [
                {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "read", "input": {}}]},
                {"role": "user", "content": content},
            ]})
        };
        let result = json!({"type": "tool_result", "tool_use_id": "t", "content": "ok"});
        let turn = read(&body(json!([result]))).unwrap().turn;
        assert_eq!(turn.messages[1].role, Role::Tool);
        let turn = read(&body(json!([result, {"type": "text", "text": "go on"}])))
            .unwrap()
            .turn;
        assert_eq!(turn.messages[1].role, Role::User);
        assert_eq!(turn.messages[1].parts.len(), 2);
    }

    #[test]
    fn legacy_functions() {
        let turn = read(&json!({
            "functions": [{"name": "now", "parameters": {}}],
            "function_call": {"name": "now"},
            "messages": [
                {"role": "assistant", "content": null, "function_call": {"name": "now", "arguments": "{}"}},
                {"role": "function", "name": "now", "content": "12:00"},
            ],
        }))
        .unwrap()
        .turn;
        assert_eq!(turn.tool_choice, ToolChoice::Named(vec!["now".to_owned()]));
        assert!(!turn.parallel_tool_calls);
        assert_eq!(
            turn.messages[1].tool_results().next().unwrap().call_id,
            "now"
        );
    }

    #[test]
    fn faults_are_named_by_path() {
        let user = json!({"role": "user", "content": "hi"});
        let cases = [
            (json!({}), "messages"),
            (json!({"messages": []}), "messages"),
            (json!({"messages": "hi"}), "messages"),
            (
                json!({"messages": [user], "stream_options": "usage"}),
                "stream_options",
            ),
            (
                json!({"messages": [user], "reasoning": "high"}),
                "reasoning",
            ),
            (json!({"messages": [user, 3]}), "messages[1]"),
            (json!({"messages": [{"content": "hi"}]}), "messages[0].role"),
            (
                json!({"messages": [{"role": "pope", "content": "hi"}]}),
                "messages[0].role",
            ),
            (
                json!({"messages": [{"role": "user", "content": 1}]}),
                "messages[0].content",
            ),
            (
                json!({"messages": [user, {"role": "user", "content": [{"type": "image_url"}]}]}),
                "messages[1].content[0].image_url",
            ),
            (
                json!({"messages": [{"role": "tool", "content": "x"}]}),
                "messages[0].tool_call_id",
            ),
            (
                json!({"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "a"}}]}]}),
                "messages[0].tool_calls[0].id",
            ),
            (json!({"model": 5, "messages": [user]}), "model"),
            (json!({"stream": "yes", "messages": [user]}), "stream"),
            (json!({"n": 5, "messages": [user]}), "n"),
            (json!({"n": 0, "messages": [user]}), "n"),
            (
                json!({"stream_options": {"include_usage": 1}, "messages": [user]}),
                "stream_options.include_usage",
            ),
        ];
        for (body, path) in cases {
            let error = error(&body);
            assert_eq!(error.kind, ErrorKind::InvalidRequest);
            assert_eq!(error.param.as_deref(), Some(path), "{body}");
            assert!(error.message.contains(path), "{}", error.message);
        }
        assert!(error(&json!([1])).message.contains("must be an object"));
    }
}
