//! The tools that the caller executes, and how the model asks for one.

use std::fmt::Write as _;

use super::{ServedNames, fence::block};
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
        let _ = writeln!(list, "Arguments (JSON Schema): {}", *tool.schema);
        list.push('\n');
    }
    block("TOOLS", list.trim_end(), out);
    rules(turn, out);
}

/// Says how to reach tools that are real tools of the agent.
pub fn served(turn: &Turn, served: &ServedNames<'_>, out: &mut String) {
    let names: Vec<&str> = served.names.iter().map(|(_, name)| name.as_str()).collect();
    let (server, workspace) = (served.server, served.workspace.display());
    let names = names.join(", ");
    let _ = match served.native_reads {
        false => write!(
            out,
            "
Your only tools in this conversation are those of the MCP server `{server}`: {names}. They work in \
the user's project, {workspace}; call them for everything that touches it, and use no other tools.
"
        ),
        true => write!(
            out,
            "
The user's project is {workspace}. Read and search it by your own tools, with absolute paths; for \
everything else call the tools of the MCP server `{server}`, which work there: {names}.
"
        ),
    };
    let renamed = served.names.iter().filter(|(ours, theirs)| ours != theirs);
    for (ours, theirs) in renamed {
        let _ = writeln!(
            out,
            "What the conversation calls `{ours}` is your tool `{theirs}`."
        );
    }
    rules(turn, out);
}

/// How many calls there may or must be.
fn rules(turn: &Turn, out: &mut String) {
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
