//! The tools that the caller executes, and how the model asks for one.

use std::fmt::Write as _;

use super::fence::block;
use crate::turn::{ToolChoice, Turn};

const INTRODUCTION: &str = "
The caller executes these tools and returns their results as TOOL_RESULT blocks. Your own tools for \
files, search, shell and tasks work as usual: when you use one, the caller's matching tool is executed \
in its place. To call a tool for which you have no tool of your own, write

<tool_call>{\"name\": \"TOOL\", \"arguments\": {...}}</tool_call>

on a line of its own, with arguments that fit the tool's schema, and stop there; several such lines \
are several calls.
";

/// Appends the tools block; nothing if the turn allows no tools.
pub fn section(turn: &Turn, out: &mut String) {
    if !turn.allows_tools() {
        if !turn.tools.is_empty() {
            out.push_str("\nDo not use any tool in this turn; answer in text.\n");
        }
        return;
    }
    out.push_str(INTRODUCTION);
    let mut list = String::new();
    for tool in &turn.tools {
        let _ = writeln!(list, "## {}", tool.name);
        let description = tool.description.trim();
        if !description.is_empty() {
            let _ = writeln!(list, "{description}");
        }
        let _ = writeln!(list, "Arguments (JSON Schema): {}", tool.schema);
        list.push('\n');
    }
    block("TOOLS", list.trim_end(), out);
    if !turn.parallel_tool_calls {
        out.push_str("\nCall at most one tool before you wait for its result.\n");
    }
    match &turn.tool_choice {
        ToolChoice::Required => {
            out.push_str("\nThis turn must call at least one of the tools above.\n");
        }
        ToolChoice::Named(names) => {
            let _ = writeln!(out, "\nThis turn must call {}.", names.join(" or "));
        }
        ToolChoice::Auto | ToolChoice::None => {}
    }
}
