//! Which of the server's tools there are, and which of them a request gets.

use std::str::FromStr;

use super::Exec;
use crate::{
    boundary::is_same_tool,
    hands::{LOCAL_TOOLS, OwnTool},
    turn::{ServerTools, Turn, TurnError},
};

/// The local tools that requests may use (`--exec-tools`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecTools(pub Vec<&'static str>);

impl FromStr for ExecTools {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "all" => return Ok(Self(LOCAL_TOOLS.to_vec())),
            "none" => return Ok(Self(Vec::new())),
            _ => {}
        }
        let names = text
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty());
        let mut chosen = Vec::new();
        for name in names {
            let Some(tool) = local_tool(name) else {
                let all = LOCAL_TOOLS.join(", ");
                return Err(format!(
                    "there is no tool `{name}`; use all, none, or some of {all}"
                ));
            };
            if !chosen.contains(&tool) {
                chosen.push(tool);
            }
        }
        Ok(Self(chosen))
    }
}

/// The local tool that a name means; a name may mean several, of which its own is the one.
fn local_tool(name: &str) -> Option<&'static str> {
    let exact = LOCAL_TOOLS.iter().find(|tool| **tool == name);
    let meant = || LOCAL_TOOLS.iter().find(|tool| is_same_tool(tool, name));
    exact.or_else(meant).copied()
}

/// Whether a tool is used only by requests that allow it.
pub fn needs_confirmation(exec: &Exec, tool: &OwnTool) -> bool {
    names(&exec.confirm, &tool.spec.name)
}

fn names(list: &[String], tool: &str) -> bool {
    list.iter()
        .any(|name| name == tool || local_tool(name) == Some(tool))
}

/// The tools that a turn gets, in their order.
///
/// # Errors
/// A name that means none of them, or one that the request has to allow and does not.
pub(super) async fn select(
    exec: &Exec,
    turn: &Turn,
    workspace: bool,
) -> Result<Vec<OwnTool>, TurnError> {
    let all = exec.toolbox.tools(workspace).await;
    let is_withheld =
        |tool: &OwnTool| needs_confirmation(exec, tool) && !names(&turn.confirmed, &tool.spec.name);
    let ServerTools::Named(wanted) = &turn.server_tools else {
        let free = all.into_iter().filter(|tool| !is_withheld(tool));
        return Ok(free.collect());
    };
    let mut chosen: Vec<OwnTool> = Vec::new();
    for name in wanted {
        let exact = all.iter().find(|tool| tool.spec.name == *name);
        let meant = || {
            all.iter()
                .find(|tool| Some(&*tool.spec.name) == local_tool(name))
        };
        let Some(tool) = exact.or_else(meant) else {
            let why = if !workspace && local_tool(name).is_some() {
                "has no directory to work in: name one by the header x-cursor-workspace, or start \
                 the server with --workspace"
            } else {
                "is not a tool of this server; GET /v1/tools lists them"
            };
            return Err(TurnError::invalid(
                "tools",
                format!("`{name}` in `tools` {why}"),
            ));
        };
        if is_withheld(tool) {
            let message = format!(
                "`{name}` in `tools` is executed only for a request with the header \
                 `x-open-cursor-allow: {}`",
                tool.spec.name
            );
            return Err(TurnError::invalid("tools", message));
        }
        if !chosen.contains(tool) {
            chosen.push(tool.clone());
        }
    }
    Ok(chosen)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_named_as_the_boundary_knows_them() {
        let read = |text: &str| text.parse::<ExecTools>().map(|tools| tools.0);
        assert_eq!(read("all").unwrap(), LOCAL_TOOLS);
        assert!(read("none").unwrap().is_empty());
        assert!(read("").unwrap().is_empty());
        assert_eq!(read("shell, Read,bash").unwrap(), ["bash", "read"]);
        assert_eq!(
            read("list_directory,delete,str_replace").unwrap(),
            ["ls", "rm", "edit"]
        );
        let error = read("read,frobnicate").unwrap_err();
        assert!(
            error.contains("`frobnicate`") && error.contains("multiedit"),
            "{error}"
        );
    }

    #[test]
    fn every_name_means_its_own_tool() {
        for name in LOCAL_TOOLS {
            assert_eq!(local_tool(name), Some(*name));
        }
    }
}
