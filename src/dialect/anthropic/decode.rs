//! A Messages request as a [`Turn`].

use super::encode::MessagesReply;
use crate::{
    dialect::{
        Request, Stamp, common, content,
        field::{self, Field},
        format, limits, parameters, tools,
    },
    turn::{Message, OutputRules, Role, Turn, TurnError},
};

/// Reads a request body.
pub fn request(body: &[u8], stamp: &Stamp) -> Result<Request, TurnError> {
    let value = field::parse(body)?;
    let body = Field::root(&value);
    let mut ignored = parameters::ignored(&body, super::PARAMETERS)?;
    let (turn, left_out) = read(&body)?;
    ignored.extend(left_out);
    let reply = MessagesReply::new(stamp, &turn, shows_thinking(&body)?);
    Ok(Request {
        others: Vec::new(),
        stream: common::stream(&body)?,
        ignored,
        reply: Box::new(reply),
        turn,
    })
}

/// Reads what a body asks, without the way in which it is to be answered.
pub fn turn(body: &[u8]) -> Result<Turn, TurnError> {
    let value = field::parse(body)?;
    Ok(read(&Field::root(&value))?.0)
}

/// The turn, and the tools that are left out.
fn read(body: &Field<'_>) -> Result<(Turn, Vec<String>), TurnError> {
    let mut turn = common::turn(body)?;
    // Calls are written alike, whatever form their tool was offered in.
    let (_forms, left_out) = tools::read(body, &mut turn)?;
    let config = body.member("output_config");
    let effort = config.opt_str("effort")?;
    // Where the format stands now, and where it stood in Anthropic's beta.
    let output_format = config.get("format").or_else(|| body.get("output_format"));
    let turn = Turn {
        messages: common::messages(body, message)?,
        reasoning_effort: effort.map(str::to_owned),
        output: OutputRules {
            stop: limits::stop(body, "stop_sequences")?,
            max_tokens: limits::max_tokens(body, &["max_tokens"])?,
            format: format::format(output_format)?,
        },
        ..turn
    };
    Ok((turn, left_out))
}

/// Without the parameter, clients expect the text to be the first block.
fn shows_thinking(body: &Field<'_>) -> Result<bool, TurnError> {
    let Some(thinking) = body.get("thinking") else {
        return Ok(false);
    };
    let is_on = thinking.require("type")?.str()? != "disabled";
    Ok(is_on && thinking.opt_str("display")? != Some("omitted"))
}

fn message(item: &Field<'_>) -> Result<Message, TurnError> {
    item.object()?;
    let field = item.require("role")?;
    let role = match field.str()? {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        // Claude Code sends instructions also between messages.
        "system" => Role::System,
        _ => return Err(field.must_be("user, assistant or system")),
    };
    let parts = content::parts(&item.require("content")?)?;
    Ok(Message::of(role, parts))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::turn::{ErrorKind, Part, ToolChoice};

    fn read_request(body: &Value) -> Result<Request, TurnError> {
        let stamp = Stamp {
            id: "1".to_owned(),
            created: 1,
            owner: None,
        };
        request(body.to_string().as_bytes(), &stamp)
    }

    #[test]
    fn a_tool_loop() {
        let request = read_request(&json!({
            "model": "claude-opus-5", "max_tokens": 32000, "stream": true,
            "system": [{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}],
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "read a"}]},
                {"role": "system", "content": "a reminder"},
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "hm", "signature": ""},
                    {"type": "text", "text": "I will."},
                    {"type": "tool_use", "id": "t1", "name": "Read", "input": {"file_path": "a"}, "caller": {"type": "direct"}},
                ]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "hello"}]},
            ],
            "tools": [{"name": "Read", "description": "reads", "input_schema": {"type": "object"}}],
            "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
            "thinking": {"type": "adaptive"}, "output_config": {"effort": "high"},
            "stop_sequences": ["END"], "metadata": {"user_id": "u"},
            "context_management": {"edits": [{"type": "clear_thinking_20251015"}]}, "temperature": 1,
        }))
        .unwrap();
        assert!(request.stream);
        assert_eq!(request.ignored, ["temperature", "context_management"]);
        let turn = request.turn;
        let roles: Vec<Role> = turn.messages.iter().map(|message| message.role).collect();
        assert_eq!(
            roles,
            [
                Role::System,
                Role::User,
                Role::System,
                Role::Assistant,
                Role::Tool
            ]
        );
        let call = turn.messages[3].tool_calls().next().unwrap();
        assert_eq!(call.arguments, r#"{"file_path":"a"}"#);
        let result = turn.messages[4].tool_results().next().unwrap();
        assert_eq!(
            (result.call_id.as_str(), result.content.as_str()),
            ("t1", "hello")
        );
        assert_eq!(turn.tool_choice, ToolChoice::Required);
        assert!(!turn.parallel_tool_calls);
        assert_eq!(turn.reasoning_effort.as_deref(), Some("high"));
        assert_eq!(
            (turn.output.stop, turn.output.max_tokens),
            (vec!["END".to_owned()], Some(32000))
        );
    }

    #[test]
    fn results_beside_text_are_a_user_turn() {
        let turn = turn(
            json!({"messages": [{"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "t", "content": [
                    {"type": "text", "text": "one"}, {"type": "text", "text": "two"}]},
                {"type": "text", "text": "go on"},
            ]}]})
            .to_string()
            .as_bytes(),
        )
        .unwrap();
        assert_eq!(turn.messages[0].role, Role::User);
        assert_eq!(turn.messages[0].parts[1], Part::Text("go on".to_owned()));
    }

    #[test]
    fn thinking_is_shown_only_if_asked_for() {
        for (body, shown) in [
            (json!({}), false),
            (json!({"thinking": {"type": "disabled"}}), false),
            (
                json!({"thinking": {"type": "enabled", "budget_tokens": 1024}}),
                true,
            ),
            (json!({"thinking": {"type": "adaptive"}}), true),
            (
                json!({"thinking": {"type": "adaptive", "display": "omitted"}}),
                false,
            ),
        ] {
            assert_eq!(
                shows_thinking(&Field::root(&(&body).into())).unwrap(),
                shown,
                "{body}"
            );
        }
    }

    #[test]
    fn faults_are_named_by_path() {
        let user = json!({"role": "user", "content": "hi"});
        let image = json!([{"type": "image", "source": {"type": "base64", "data": ""}}]);
        let cases = [
            (json!({}), "messages"),
            (json!({"messages": []}), "messages"),
            (
                json!({"messages": [user], "output_config": "high"}),
                "output_config",
            ),
            (
                json!({"messages": [{"role": "user"}]}),
                "messages[0].content",
            ),
            (
                json!({"messages": [{"role": "tool", "content": "x"}]}),
                "messages[0].role",
            ),
            (
                json!({"messages": [{"role": "user", "content": image}]}),
                "messages[0].content[0].source.data",
            ),
            (json!({"messages": [user], "system": 3}), "system"),
            (json!({"messages": [user], "max_tokens": 0}), "max_tokens"),
            (json!({"messages": [user], "thinking": {}}), "thinking.type"),
            (
                json!({"messages": [user], "mcp_servers": [{"name": "x"}]}),
                "mcp_servers",
            ),
            (
                json!({"messages": [user], "tools": [{"type": "code_execution_20250825", "name": "x"}]}),
                "tools[0]",
            ),
        ];
        for (body, path) in cases {
            let Err(error) = read_request(&body) else {
                panic!("accepted: {body}");
            };
            assert_eq!(error.kind, ErrorKind::InvalidRequest);
            assert_eq!(error.param.as_deref(), Some(path), "{body}");
        }
    }
}
