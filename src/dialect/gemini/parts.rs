//! Gemini's content: the parts that only it has, and which response answers which call.

use crate::{
    dialect::{content, field::Field},
    turn::{Message, Part, ToolCall, ToolResult, TurnError},
};

/// What a part may hold without saying anything to the model.
const SILENT: &[&str] = &[
    "thought",
    "thoughtSignature",
    "thought_signature",
    "partMetadata",
];

/// Appends a part that only Gemini's clients write, and says whether it was one. Its `text` and
/// `inlineData` are read with everyone's.
///
/// # Errors
/// A call or response that lacks its name.
pub fn part(item: &Field<'_>, parts: &mut Vec<Part>) -> Result<bool, TurnError> {
    let members = item.object()?;
    let is_silent = |key| SILENT.contains(&key);
    // The model's own reasoning is not part of the conversation.
    if item.opt_bool("thought")? == Some(true)
        || (!members.is_empty() && members.keys().all(is_silent))
    {
        return Ok(true);
    }
    if let Some(call) = item.get_any(&["functionCall", "function_call"]) {
        parts.push(Part::ToolCall(function_call(&call)?));
        return Ok(true);
    }
    if let Some(response) = item.get_any(&["functionResponse", "function_response"]) {
        function_response(&response, parts)?;
        return Ok(true);
    }
    Ok(false)
}

/// Ids are optional, so the name stands in for a missing one; [`pair`] finds a better one.
fn function_call(call: &Field<'_>) -> Result<ToolCall, TurnError> {
    let name = call.require("name")?.str()?;
    Ok(ToolCall {
        id: own_id(call.opt_str("id")?.unwrap_or(name), name).to_owned(),
        name: name.to_owned(),
        arguments: content::arguments(call.get_any(&["args", "arguments"])),
    })
}

fn function_response(response: &Field<'_>, parts: &mut Vec<Part>) -> Result<(), TurnError> {
    let name = response.require("name")?.str()?;
    let output = response.get("response");
    let result = ToolResult {
        call_id: own_id(response.opt_str("id")?.unwrap_or(name), name).to_owned(),
        name: Some(name.to_owned()),
        content: output.as_ref().map_or_else(String::new, |output| {
            match output.get_any(&["output", "result", "content"]) {
                Some(text) if text.value.is_string() => content::arguments(Some(text)),
                _ => output.value.to_json(),
            }
        }),
        is_error: output.is_some_and(|output| output.get("error").is_some()),
    };
    parts.push(Part::ToolResult(result));
    if let Some(files) = response.get("parts") {
        let (_, files) = content::output(&files)?;
        parts.extend(files);
    }
    Ok(())
}

/// Gemini CLI puts the tool's name before the ids it is given: `read_file__call_1`.
fn own_id<'a>(id: &'a str, name: &str) -> &'a str {
    let rest = id
        .strip_prefix(name)
        .and_then(|rest| rest.strip_prefix("__"));
    rest.filter(|rest| !rest.is_empty()).unwrap_or(id)
}

/// Gives each response the id of the call it answers. Clients may leave the ids out of the calls,
/// the responses or both; then the first call of that name that has no response is meant.
pub fn pair(messages: &mut [Message]) {
    let mut open: Vec<(String, String)> = Vec::new();
    for part in messages.iter_mut().flat_map(|message| &mut message.parts) {
        match part {
            Part::ToolCall(call) => open.push((call.id.clone(), call.name.clone())),
            Part::ToolResult(result) => {
                let by_id = open.iter().position(|(id, _)| *id == result.call_id);
                let nameless = |(id, name): &(String, String)| {
                    // Either side without an id of its own.
                    Some(name) == result.name.as_ref() && (id == name || result.call_id == *name)
                };
                if let Some(at) = by_id.or_else(|| open.iter().position(nameless)) {
                    result.call_id = open.remove(at).0;
                }
            }
            Part::Text(_) | Part::Attachment(_) => {}
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::turn::Role;

    /// The call that each response answers, by the calls' arguments.
    fn answered(calls: &Value, responses: &Value) -> Vec<String> {
        let mut messages: Vec<Message> = [(Role::Assistant, calls), (Role::User, responses)]
            .map(|(role, value)| {
                Message::of(role, content::parts(&Field::root(&value.into())).unwrap())
            })
            .into();
        pair(&mut messages);
        let calls = messages.clone();
        let results = messages.iter().flat_map(Message::tool_results);
        results
            .map(|result| {
                let mut calls = calls.iter().flat_map(Message::tool_calls);
                let call = calls.find(|call| call.id == result.call_id).unwrap();
                format!("{} {}", call.arguments, result.content)
            })
            .collect()
    }

    fn call(id: &Value, name: &str, args: u64) -> Value {
        json!({"functionCall": {"id": id, "name": name, "args": args}})
    }

    fn response(id: &Value, name: &str, output: &str) -> Value {
        json!({"functionResponse": {"id": id, "name": name, "response": {"output": output}}})
    }

    #[test]
    fn ids_are_optional_on_either_side() {
        let (a, b, none) = (json!("a"), json!("b"), Value::Null);
        for (calls, responses) in [
            ([&a, &b], [&a, &b]),
            ([&a, &b], [&none, &none]),
            ([&none, &none], [&a, &b]),
            ([&json!("read__a"), &json!("grep__b")], [&a, &b]),
        ] {
            let calls = json!([call(calls[0], "read", 1), call(calls[1], "grep", 2)]);
            let responses = [
                response(responses[0], "read", "x"),
                response(responses[1], "grep", "y"),
            ];
            assert_eq!(
                answered(&calls, &json!(responses)),
                ["1 x", "2 y"],
                "{calls}"
            );
            let [first, second] = responses;
            assert_eq!(
                answered(&calls, &json!([second, first])),
                ["2 y", "1 x"],
                "{calls}"
            );
        }
        let calls = json!([call(&a, "read", 1), call(&b, "read", 2)]);
        let responses = json!([response(&none, "read", "x"), response(&none, "read", "y")]);
        assert_eq!(answered(&calls, &responses), ["1 x", "2 y"]);
    }

    #[test]
    fn what_says_nothing_is_passed_over() {
        let parts = |value: Value| content::parts(&Field::root(&(&value).into())).unwrap();
        assert!(
            parts(json!([{"thoughtSignature": "x"}, {"thought": true, "text": "hm"}])).is_empty()
        );
        let signed = parts(json!([{"text": "a", "thoughtSignature": "x", "thought": false}]));
        assert_eq!(signed, [Part::Text("a".to_owned())]);
        assert!(content::parts(&Field::root(&(&json!([{"executableCode": {}}])).into())).is_err());
    }

    #[test]
    fn a_response_may_carry_an_image_and_an_error() {
        let value = json!([{"functionResponse": {
            "name": "shot", "response": {"error": "half of it"},
            "parts": [{"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}],
        }}]);
        let parts = content::parts(&Field::root(&(&value).into())).unwrap();
        assert!(matches!(&parts[0], Part::ToolResult(result) if result.is_error));
        assert!(matches!(&parts[1], Part::Attachment(file) if file.extension == "png"));
    }
}
