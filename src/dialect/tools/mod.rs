//! The shapes in which clients offer tools, and say whether one must be called.
//!
//! Clients mix them freely (OpenAI functions, flat Responses tools, Claude's `input_schema`,
//! Gemini's `functionDeclarations`, MCP's `inputSchema`), so every dialect accepts all of them.

mod choice;
mod form;
mod render;
mod spec;

pub use choice::choice;
pub use form::{Form, Forms, flat_name};
pub use render::{ToolFormat, render};
pub use spec::offered;
