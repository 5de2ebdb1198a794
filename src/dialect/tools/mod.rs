//! The shapes in which clients offer tools, and say whether one must be called.
//!
//! Clients mix them freely (OpenAI functions, flat Responses tools, Claude's `input_schema`,
//! Gemini's `functionDeclarations`, MCP's `inputSchema`), so every dialect accepts all of them.

mod choice;
mod form;
mod render;
mod spec;

pub use form::{Form, Forms, flat_name};
pub use render::{ToolFormat, render};
pub use spec::offered;

use super::{field::Field, x_cursor};
use crate::turn::{ServerTools, Turn, TurnError};

/// Reads the tools of a request into a turn, those that may be called at all, and whether one may or
/// must be. Returns the forms of those that aren't plain functions, and what is left out.
///
/// # Errors
/// See [`offered`] and [`choice::choice`].
pub fn read(body: &Field<'_>, turn: &mut Turn) -> Result<(Forms, Vec<String>), TurnError> {
    let offered = offered(body)?;
    let names = offered.specs.iter().map(|tool| &tool.name);
    let names: Vec<&str> = names.chain(&offered.named).map(String::as_str).collect();
    let choice = choice::choice(body, &names)?;
    turn.server_tools = match (x_cursor::Wish::of(body)?.tools, offered.named) {
        (ServerTools::Named(mut names), more) => {
            names.extend(more);
            ServerTools::Named(names)
        }
        (wish, named) if named.is_empty() => wish,
        (ServerTools::All, _) => ServerTools::All,
        (ServerTools::Usual, named) => ServerTools::Named(named),
    };
    turn.tools = offered.specs;
    if let Some(allowed) = choice.allowed {
        turn.tools.retain(|tool| allowed.contains(&tool.name));
    }
    turn.tool_choice = choice.tool_choice;
    turn.parallel_tool_calls = choice.parallel.unwrap_or(true);
    Ok((offered.forms, offered.left_out))
}
