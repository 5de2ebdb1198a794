//! What requests of several dialects say in the same members.

use super::{content, field::Field};
use crate::{
    models::AUTO,
    turn::{Message, Role, Turn, TurnError},
};

/// A turn with what every dialect's body says alike. The rest is the dialect's own.
pub fn turn(body: &Field<'_>) -> Result<Turn, TurnError> {
    Ok(Turn {
        model: body.opt_str("model")?.unwrap_or(AUTO).to_owned(),
        cursor_model: body.opt_str("cursorModel")?.map(str::to_owned),
        workspace: body.opt_str("cursorWorkspace")?.map(str::to_owned),
        parallel_tool_calls: true,
        ..Turn::default()
    })
}

/// Whether the answer is to be streamed.
pub fn stream(body: &Field<'_>) -> Result<bool, TurnError> {
    Ok(body.opt_bool("stream")?.unwrap_or(false))
}

/// Whether the stream is to end with the usage. It does unless the request says no: most clients
/// want it, and forget to say so.
pub fn include_usage(body: &Field<'_>) -> Result<bool, TurnError> {
    let options = body.member("stream_options");
    Ok(options.opt_bool("include_usage")?.unwrap_or(true))
}

/// The conversation in `system` and `messages`.
///
/// # Errors
/// No message, or one that can't be read.
pub fn messages(
    body: &Field<'_>,
    read: impl Fn(&Field<'_>) -> Result<Message, TurnError>,
) -> Result<Vec<Message>, TurnError> {
    let mut messages = Vec::new();
    if let Some(system) = body.get("system") {
        messages.push(Message::of(Role::System, content::parts(&system)?));
    }
    let list = body.require("messages")?;
    let before = messages.len();
    for item in list.items()? {
        messages.push(read(&item)?);
    }
    if messages.len() == before {
        return Err(list.fail("must hold at least one message"));
    }
    Ok(messages)
}
