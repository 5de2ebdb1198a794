//! The client's tools, and which of them a call means.
//!
//! Exact name, then the name without case and punctuation, then alias. Within one step several
//! tools may answer; the caller picks the one whose schema fits the arguments. Only what is here is
//! ever emitted, under exactly the name that the client offered.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::alias::{families, fold};
use super::compat::{self, Arguments};
use super::default_schemas;
use super::native::Intent;
use super::schema::Schema;
use crate::turn::{ToolChoice, ToolSchema, ToolSpec, Turn};

/// One of the client's tools.
#[derive(Debug, Clone)]
pub(super) struct ClientTool {
    pub name: String,
    pub description: String,
    pub schema: Schema,
    pub families: Vec<&'static str>,
    folded: String,
}

impl ClientTool {
    fn new(spec: &ToolSpec) -> Self {
        let folded = fold(&spec.name);
        let families: Vec<&str> = families(&folded).collect();
        let assumed = default_schemas::schema(&families, &spec.schema);
        let mut tool = Self {
            name: spec.name.clone(),
            description: spec.description.clone(),
            schema: Schema::new(assumed.map_or_else(|| spec.schema.clone(), ToolSchema::from)),
            families,
            folded,
        };
        tool.families = compat::families(&tool);
        tool
    }

    /// The same tool with arguments of another schema.
    pub(super) fn with_schema(&self, schema: Value) -> Self {
        Self {
            schema: Schema::new(schema),
            ..self.clone()
        }
    }

    /// Whether this is a tool of the family.
    pub(super) fn is(&self, family: &str) -> bool {
        self.families.contains(&family)
    }
}

/// A call in the client's terms.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ClientCall {
    pub name: String,
    pub arguments: Map<String, Value>,
    /// What the tool's schema objects to, if the arguments can't be made valid.
    pub problems: Vec<String>,
}

/// The tools that may be called in this turn.
#[derive(Debug, Clone)]
pub(super) struct ToolCatalog {
    tools: Vec<ClientTool>,
    /// Whether the answer must call one of them.
    must_call: bool,
    workspace: PathBuf,
}

impl ToolCatalog {
    /// The tools of a turn whose client works in `workspace`.
    pub(super) fn new(turn: &Turn, workspace: &Path) -> Self {
        let allowed = |tool: &&ToolSpec| match &turn.tool_choice {
            ToolChoice::None => false,
            ToolChoice::Named(names) => names.contains(&tool.name),
            ToolChoice::Auto | ToolChoice::Required => true,
        };
        Self {
            tools: turn
                .tools
                .iter()
                .filter(allowed)
                .map(ClientTool::new)
                .collect(),
            must_call: matches!(
                turn.tool_choice,
                ToolChoice::Named(_) | ToolChoice::Required
            ),
            workspace: workspace.to_path_buf(),
        }
    }

    /// The client's directory.
    pub(super) fn workspace(&self) -> &Path {
        &self.workspace
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tools.is_empty()
    }

    /// The one tool that the answer must call, if there is one.
    pub(super) fn forced(&self) -> Option<&str> {
        match self.tools.as_slice() {
            [only] if self.must_call => Some(&only.name),
            _ => None,
        }
    }

    /// The tool with exactly this name.
    pub(super) fn exact(&self, name: &str) -> Option<&ClientTool> {
        self.tools.iter().find(|tool| tool.name == name)
    }

    /// The first tool of a family.
    pub(super) fn of(&self, family: &str) -> Option<&ClientTool> {
        self.tools.iter().find(|tool| tool.is(family))
    }

    /// The tool that a call means, with its arguments in that tool's terms.
    pub(super) fn make(&self, asked: &Intent) -> Option<ClientCall> {
        let (tool, arguments) = self.resolve(asked)?;
        Some(ClientCall {
            name: tool.name.clone(),
            arguments: arguments.map,
            problems: arguments.problems,
        })
    }

    /// The call of the client's tool of a family, with Cursor's arguments.
    pub(super) fn call(&self, family: &str, args: Value) -> Option<ClientCall> {
        let Value::Object(args) = args else {
            return None;
        };
        self.make(&Intent {
            names: vec![family.to_owned()],
            args,
            native: true,
            aliases: true,
        })
    }

    fn resolve(&self, asked: &Intent) -> Option<(&ClientTool, Arguments)> {
        let steps: [fn(&ClientTool, &str) -> bool; 3] = [
            |tool, name| tool.name == name,
            |tool, name| tool.folded == fold(name),
            |tool, name| families(&fold(name)).any(|family| tool.is(family)),
        ];
        // An MCP tool named `read` is not the client's `view`.
        let steps = &steps[..if asked.aliases { 3 } else { 2 }];
        steps
            .iter()
            .flat_map(|step| asked.names.iter().map(move |name| (step, name)))
            .find_map(|(step, name)| {
                self.tools
                    .iter()
                    .filter(|tool| step(tool, name))
                    .map(|tool| (tool, compat::arguments(asked, tool, &self.workspace)))
                    // Where nothing of a native call fits, its arguments are not complete yet, or
                    // another tool happens to have the name.
                    .filter(|(_, args)| {
                        let bare = asked.args.is_empty() && args.is_valid();
                        !asked.native || args.placed > 0 || bare
                    })
                    .reduce(|best, next| {
                        if next.1.fit() > best.1.fit() {
                            next
                        } else {
                            best
                        }
                    })
            })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
