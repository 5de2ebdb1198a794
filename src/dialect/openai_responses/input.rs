//! The items of a request's input as messages.

use serde_json::{Value, json};

use crate::{
    dialect::{content, field::Field, tools},
    turn::{Message, Part, Role, ToolCall, ToolResult, TurnError},
};

/// Finds the item of an earlier response by its id.
pub type StoredItems<'a> = &'a dyn Fn(&str) -> Option<Value>;

/// Appends one item. Calls join the assistant's message before them.
///
/// # Errors
/// An item that can't be passed on, or that `stored` does not find: none is dropped in silence.
pub fn add(
    item: &Field<'_>,
    stored: StoredItems<'_>,
    messages: &mut Vec<Message>,
) -> Result<(), TurnError> {
    // The type of a reference may be left out.
    let default = match item
        .object()?
        .keys()
        .all(|key| key == "id" || key == "type")
    {
        true => "item_reference",
        false => "message",
    };
    match item.opt_str("type")?.unwrap_or(default) {
        "message" => messages.push(message(item)?),
        "function_call" => {
            let arguments = content::arguments(item.get("arguments"));
            add_call(call(item, arguments)?, messages);
        }
        "custom_tool_call" => {
            let input = item.require("input")?.str()?;
            add_call(call(item, json!({ "input": input }).to_string())?, messages);
        }
        "function_call_output" | "custom_tool_call_output" => messages.push(output(item)?),
        // The model's own reasoning and searches are not part of the conversation.
        "reasoning" | "web_search_call" => {}
        "item_reference" => {
            let id = item.require("id")?.str()?;
            let found = stored(id).ok_or_else(|| {
                item.fail(format_args!(
                    "refers to the item `{id}`, which is not stored, or no longer: send the item \
                     itself, as clients do that set `store: false`"
                ))
            })?;
            // What is stored refers to nothing.
            add(&Field::root(&(&found).into()), &|_| None, messages)?;
        }
        kind => {
            return Err(item.member("type").fail(format_args!(
                "is `{kind}`, which open-cursor cannot pass on to Cursor; \
                 send messages, function calls and their outputs"
            )));
        }
    }
    Ok(())
}

fn message(item: &Field<'_>) -> Result<Message, TurnError> {
    let field = item.require("role")?;
    let role = match field.str()? {
        "system" | "developer" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        _ => return Err(field.must_be("system, developer, user or assistant")),
    };
    Ok(Message {
        role,
        parts: content::parts(&item.require("content")?)?,
    })
}

fn call(item: &Field<'_>, arguments: String) -> Result<ToolCall, TurnError> {
    let id = item.require("call_id")?.str()?.to_owned();
    let name = item.require("name")?.str()?;
    Ok(ToolCall {
        id,
        name: tools::flat_name(item.opt_str("namespace")?, name),
        arguments,
    })
}

fn add_call(call: ToolCall, messages: &mut Vec<Message>) {
    let call = Part::ToolCall(call);
    match messages.last_mut() {
        Some(last) if last.role == Role::Assistant => last.parts.push(call),
        _ => messages.push(Message {
            role: Role::Assistant,
            parts: vec![call],
        }),
    }
}

fn output(item: &Field<'_>) -> Result<Message, TurnError> {
    let (content, files) = content::output(&item.require("output")?)?;
    let result = ToolResult {
        call_id: item.require("call_id")?.str()?.to_owned(),
        name: None,
        content,
        is_error: false,
    };
    Ok(Message::result(result, files))
}
