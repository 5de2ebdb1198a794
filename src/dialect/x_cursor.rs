//! What we add to every format: the member `x_cursor`, beside those that clients know.

use serde_json::{Value, json};

use super::field::Field;
use crate::turn::{ServerTools, TurnError, Usage};

/// What a request says in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wish {
    /// Whether it learns which tools ran without the client.
    pub activity: Telling,
    /// Which tools of the server's the model may call.
    pub tools: ServerTools,
}

/// When something is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Telling {
    #[default]
    Never,
    /// As a list at the end of the answer.
    AtTheEnd,
    /// When it happens; an answer that is not streamed has the list.
    AtOnce,
}

impl Wish {
    /// Reads the member of a body: `true`, or `{"activity": true, "tools": "all" | [names]}`.
    ///
    /// # Errors
    /// Names the member at fault.
    pub fn of(body: &Field<'_>) -> Result<Self, TurnError> {
        let Some(field) = body.get_any(&["x_cursor", "xCursor"]) else {
            return Ok(Self::default());
        };
        if !field.value.is_object() {
            let tools = ServerTools::Usual;
            let activity = match field.bool()? {
                true => Telling::AtTheEnd,
                false => Telling::Never,
            };
            return Ok(Self { activity, tools });
        }
        let activity = match field.opt_bool("activity")? {
            Some(true) => Telling::AtOnce,
            _ => Telling::Never,
        };
        let tools = match field.get("tools") {
            None => ServerTools::Usual,
            Some(tools) if tools.value.is_array() => ServerTools::Named(tools.strings()?),
            Some(tools) => match tools.str()? {
                "all" => ServerTools::All,
                _ => return Err(tools.fail("must be \"all\" or a list of names")),
            },
        };
        Ok(Self { activity, tools })
    }
}

/// Adds what a client should know of an answer and no format has a place for: that the usage is an
/// estimate (`usage_estimated`), and the files whose change reached no tool call (`lost_changes`).
pub fn note(object: &mut Value, usage: Option<&Usage>, lost_changes: &[String]) {
    if usage.is_some_and(|usage| usage.estimated) {
        object["x_cursor"]["usage_estimated"] = true.into();
    }
    if !lost_changes.is_empty() {
        object["x_cursor"]["lost_changes"] = json!(lost_changes);
    }
}
