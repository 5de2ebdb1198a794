//! Message content in every shape: a string, parts, null; text, tool calls, tool results and files.

use super::{attachment, field::Field, gemini, tree::Tree};
use crate::turn::{Part, ToolCall, ToolResult, TurnError};

/// Reads a message's `content` (or Gemini's `parts`); a missing one has no parts.
///
/// # Errors
/// A part that we can't carry (audio, PDF, what is not in the request): it is never dropped in
/// silence.
pub fn parts(content: &Field<'_>) -> Result<Vec<Part>, TurnError> {
    if content.value.is_string() {
        return Ok(vec![Part::Text(content.str()?.to_owned())]);
    }
    let mut parts = Vec::new();
    match content.value {
        Tree::Null => {}
        Tree::Object(_) => part(content, &mut parts)?,
        _ => content
            .items()?
            .try_for_each(|item| part(&item, &mut parts))?,
    }
    Ok(parts)
}

fn part(item: &Field<'_>, parts: &mut Vec<Part>) -> Result<(), TurnError> {
    if item.value.is_object() && item.opt_str("type")? == Some("tool_result") {
        let (content, files) = output(&item.member("content"))?;
        parts.push(Part::ToolResult(ToolResult {
            call_id: item.require("tool_use_id")?.str()?.to_owned(),
            name: None,
            content,
            is_error: item.opt_bool("is_error")?.unwrap_or(false),
        }));
        parts.extend(files);
        return Ok(());
    }
    if item.value.is_object() && gemini::part(item, parts)? {
        return Ok(());
    }
    parts.extend(simple_part(item)?);
    Ok(())
}

/// A part that is one of ours as well.
fn simple_part(item: &Field<'_>) -> Result<Option<Part>, TurnError> {
    if item.value.is_string() {
        return Ok(Some(Part::Text(item.str()?.to_owned())));
    }
    item.object()?;
    if let Some(attachment) = attachment::read(item)? {
        return Ok(Some(Part::Attachment(attachment)));
    }
    let said = |key| item.require(key)?.str().map(|it| Part::Text(it.to_owned()));
    Ok(Some(match item.opt_str("type")? {
        Some("text" | "input_text" | "output_text") => said("text")?,
        Some("refusal") => said("refusal")?,
        // The model's own reasoning is not part of the conversation.
        Some("thinking" | "redacted_thinking" | "reasoning") => return Ok(None),
        Some("tool_use") => Part::ToolCall(ToolCall {
            id: item.require("id")?.str()?.to_owned(),
            name: item.require("name")?.str()?.to_owned(),
            arguments: arguments(item.get("input")),
        }),
        Some("document") => document(item)?,
        Some("search_result") => Part::Text(text(&item.require("content")?)?),
        // Claude's tool search names the tools that it found.
        Some("tool_reference") => said("tool_name")?,
        None if item.get("text").is_some() => said("text")?,
        None => return Err(item.fail("has neither `type` nor `text`")),
        Some(kind) => {
            return Err(item.member("type").fail(format_args!(
                "is `{kind}`, which open-cursor cannot pass on to Cursor; send text"
            )));
        }
    }))
}

/// A document whose text is in the request itself (others are attachments); its title stands before
/// it.
fn document(item: &Field<'_>) -> Result<Part, TurnError> {
    let source = item.require("source")?;
    let mut text = match source.get("content") {
        Some(content) => text(&content)?,
        None => source.require("data")?.str()?.to_owned(),
    };
    if let Some(title) = item.opt_str("title")? {
        text = format!("{title}\n{text}");
    }
    Ok(Part::Text(text))
}

/// The text of what must be nothing else.
fn text(content: &Field<'_>) -> Result<String, TurnError> {
    match output(content)? {
        (text, files) if files.is_empty() => Ok(text),
        _ => Err(content.fail("must be text")),
    }
}

/// A tool's output: its text, pieces joined by newlines, and the files that came with it.
pub fn output(content: &Field<'_>) -> Result<(String, Vec<Part>), TurnError> {
    let mut text = String::new();
    let mut files = Vec::new();
    for part in parts(content)? {
        match part {
            Part::Text(piece) => {
                if !text.is_empty() {
                    text.push('\n');
                }
                text.push_str(&piece);
            }
            Part::Attachment(_) => files.push(part),
            Part::ToolCall(_) | Part::ToolResult(_) => {}
        }
    }
    Ok((text, files))
}

/// A call's arguments as JSON text, whether the client keeps them as text or as an object.
pub fn arguments(field: Option<Field<'_>>) -> String {
    match field.map(|field| field.value) {
        None | Some(Tree::Null) => "{}".to_owned(),
        Some(Tree::String(text)) if text.trim().is_empty() => "{}".to_owned(),
        Some(Tree::String(text)) => text.clone().into_owned(),
        Some(other) => other.to_json(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(value: &Value) -> Result<Vec<Part>, TurnError> {
        let body = json!({ "content": value });
        parts(&Field::root(&(&body).into()).get("content").unwrap())
    }

    #[test]
    fn text_in_every_shape() {
        for value in [
            json!("hi"),
            json!(["hi"]),
            json!([{"type": "text", "text": "hi"}]),
            json!([{"type": "input_text", "text": "hi", "cache_control": {"type": "ephemeral"}}]),
            json!([{"text": "hi"}]),
            json!({"type": "text", "text": "hi"}),
            json!([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "hi"}]),
            json!([{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hi"}}]),
            json!([{"type": "document", "source": {"type": "content", "content": "hi"}}]),
            json!([{"type": "search_result", "source": "x", "title": "y", "content": [{"type": "text", "text": "hi"}]}]),
            json!([{"type": "tool_reference", "tool_name": "hi"}]),
        ] {
            assert_eq!(
                read(&value).unwrap(),
                [Part::Text("hi".to_owned())],
                "{value}"
            );
        }
    }

    #[test]
    fn calls_and_results() {
        let call = |id: &str| {
            Part::ToolCall(ToolCall {
                id: id.to_owned(),
                name: "read".to_owned(),
                arguments: r#"{"path":"a"}"#.to_owned(),
            })
        };
        let claude =
            json!([{"type": "tool_use", "id": "t1", "name": "read", "input": {"path": "a"}}]);
        assert_eq!(read(&claude).unwrap(), [call("t1")]);
        let gemini = json!([{"functionCall": {"name": "read", "args": {"path": "a"}}}]);
        assert_eq!(read(&gemini).unwrap(), [call("read")]);

        let result = |id: &str, name: Option<&str>, is_error| {
            Part::ToolResult(ToolResult {
                call_id: id.to_owned(),
                name: name.map(str::to_owned),
                content: "one\ntwo".to_owned(),
                is_error,
            })
        };
        let claude = json!([{"type": "tool_result", "tool_use_id": "t1", "is_error": true,
            "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]}]);
        assert_eq!(read(&claude).unwrap(), [result("t1", None, true)]);
        let gemini =
            json!([{"functionResponse": {"name": "read", "response": {"output": "one\ntwo"}}}]);
        assert_eq!(
            read(&gemini).unwrap(),
            [result("read", Some("read"), false)]
        );
    }

    #[test]
    fn a_tools_files_follow_its_result() {
        let image = json!({"type": "image", "source": {"type": "base64", "data": "R0lGODlh"}});
        let result = json!([
            {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "see"}, image]},
            {"type": "tool_result", "tool_use_id": "t2", "content": "two"},
        ]);
        let parts = read(&result).unwrap();
        assert!(matches!(&parts[..], [
            Part::ToolResult(one), Part::Attachment(gif), Part::ToolResult(two),
        ] if one.content == "see" && gif.extension == "gif" && two.content == "two"));
    }

    #[test]
    fn what_we_cannot_carry_is_refused_by_path() {
        let value = json!([{"type": "text", "text": "see"}, {"type": "input_audio", "input_audio": {"data": "x"}}]);
        let error = read(&value).unwrap_err();
        assert_eq!(error.param.unwrap(), "content[1].type");
        assert!(error.message.contains("input_audio"));
        let value = json!([{"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}]);
        let error = read(&value).unwrap_err();
        assert_eq!(error.param.unwrap(), "content[0].image_url.url");
        assert!(read(&json!([{"foo": 1}])).is_err());
        assert!(read(&json!(3)).is_err());
    }
}
