//! The client's tools in place of native ones, where they can be reached by MCP.
//!
//! Scenarios speak of native tools. A run that has MCP servers has no native ones, so each is
//! replaced by the client's tool of the same meaning, with the arguments that its schema names.

use std::{io, thread};

use serde_json::{Map, Value, json};

use super::{
    emitter::{Call, Emitter},
    mcp::{Mcp, McpTool, awaits},
    surface::Run,
    tool::Tool,
};

/// What clients call the paths and texts of their tools' arguments, the most usual first.
const PATH: &[&str] = &["filePath", "file_path", "path", "dir_path", "directory"];
const CONTENT: &[&str] = &["content", "contents", "text"];
const OLD: &[&str] = &["oldString", "old_string", "old_str"];
const NEW: &[&str] = &["newString", "new_string", "new_str"];
const COMMAND: &[&str] = &["command", "cmd"];
const PATTERN: &[&str] = &["pattern", "query"];

/// The tools that a run can call by MCP.
pub(super) struct ClientTools {
    mcp: Mcp,
    tools: Vec<McpTool>,
    /// Whether the model looks at the tools before its first call.
    looks: bool,
}

impl ClientTools {
    /// The tools of a run; `None` if it has no server, or none that answers.
    pub(super) fn of(run: &Run<'_>) -> io::Result<Option<Self>> {
        let allowed = &run.args.allowed_tools;
        let allows = |name: &str| allowed.is_empty() || allowed.iter().any(|tool| tool == name);
        let Some(mcp) = Mcp::of(run)?.filter(|_| allows("mcp_tool_call")) else {
            return Ok(None);
        };
        let tools = mcp.initialize().and_then(|()| mcp.tools());
        Ok(tools.ok().map(|tools| Self {
            mcp,
            tools,
            looks: allows("get_mcp_tools_tool_call"),
        }))
    }

    /// Makes a batch of calls. Returns what the tools answered, in order; `None` if the client lacks
    /// one of the tools, and then nothing was called.
    pub(super) fn call<W: io::Write>(
        &mut self,
        out: &mut Emitter<W>,
        tools: &[Tool],
    ) -> io::Result<Option<Vec<String>>> {
        let wanted: Option<Vec<Tool>> = tools.iter().map(|tool| self.replace(tool)).collect();
        let Some(wanted) = wanted else {
            return Ok(None);
        };
        if std::mem::take(&mut self.looks) {
            self.look(out)?;
        }
        let calls: Vec<Call> = wanted.iter().map(|tool| out.call(tool)).collect();
        for call in &calls {
            out.started(call)?;
        }
        let results: Vec<Value> = thread::scope(|scope| {
            let running: Vec<_> = wanted
                .iter()
                .map(|tool| scope.spawn(|| self.run(tool)))
                .collect();
            let lost = |_| json!({"error": {"error": "the call was lost"}});
            let results = running.into_iter();
            results
                .map(|call| call.join().unwrap_or_else(lost))
                .collect()
        });
        for (call, result) in calls.iter().zip(&results) {
            out.completed(call, result)?;
        }
        let mut answers = Vec::new();
        for (tool, mut result) in wanted.iter().zip(results) {
            while let (Tool::Mcp { server, .. }, Some((tool, args))) = (tool, awaits(&result)) {
                let server = server.clone();
                let again = Tool::Mcp { server, tool, args };
                let call = out.call(&again);
                out.started(&call)?;
                result = self.run(&again);
                out.completed(&call, &result)?;
            }
            answers.push(text(&result));
        }
        Ok(Some(answers))
    }

    fn run(&self, tool: &Tool) -> Value {
        match tool {
            Tool::Mcp { server, tool, args } => self.mcp.call(server, tool, args),
            other => other.refusal(),
        }
    }

    /// The look that the CLI's model takes at the tools.
    fn look<W: io::Write>(&self, out: &mut Emitter<W>) -> io::Result<()> {
        let Some(first) = self.tools.first() else {
            return Ok(());
        };
        let call = out.call(&Tool::GetMcpTools {
            server: first.server.clone(),
        });
        out.started(&call)?;
        out.completed(&call, &McpTool::listing(&self.tools))
    }

    /// The client's tool that does what a native one does.
    fn replace(&self, native: &Tool) -> Option<Tool> {
        let tool = names(native).iter().find_map(|name| {
            let mut tools = self.tools.iter();
            tools.find(|tool| folded(&tool.name) == folded(name))
        })?;
        Some(Tool::Mcp {
            server: tool.server.clone(),
            tool: tool.name.clone(),
            args: arguments(native, &tool.schema["properties"])?,
        })
    }
}

/// The texts of a result, or why there is none.
fn text(result: &Value) -> String {
    if let Some(content) = result["success"]["content"].as_array() {
        let texts = content
            .iter()
            .filter_map(|part| part["text"]["text"].as_str());
        return texts.collect::<Vec<_>>().join("\n");
    }
    let inner = result.as_object().and_then(|result| result.values().next());
    let why = inner.and_then(|inner| inner.get("error").or(inner.get("reason")));
    why.and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A name without what clients write differently.
fn folded(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    letters.map(|c| c.to_ascii_lowercase()).collect()
}

/// What clients call a tool like this one.
fn names(tool: &Tool) -> Vec<String> {
    let known: &[&str] = match tool {
        Tool::Shell { .. } => &["bash", "shell", "exec_command", "run_shell_command"],
        Tool::Read { .. } => &["read", "read_file", "view"],
        Tool::Write { .. } => &["write", "write_file", "create_file"],
        Tool::Edit { .. } | Tool::Replace { .. } => &["edit", "edit_file", "str_replace"],
        Tool::Ls { .. } => &["list", "ls", "list_dir", "list_directory"],
        Tool::Grep { .. } => &["grep", "search"],
        Tool::Glob { .. } => &["glob", "find_files"],
        Tool::Todo { .. } => &["todowrite", "update_plan"],
        Tool::Task { .. } => &["task", "agent"],
        Tool::AskQuestion { .. } => &["question", "ask_user_question"],
        Tool::WebFetch { .. } => &["webfetch", "fetch"],
        Tool::Mcp { server, tool, .. } => {
            return vec![
                format!("mcp_{server}_{tool}"),
                format!("{server}_{tool}"),
                tool.clone(),
            ];
        }
        Tool::Patch { .. } | Tool::Delete { .. } | Tool::GetMcpTools { .. } => &[],
    };
    known.iter().map(|name| (*name).to_owned()).collect()
}

/// The arguments under the names that the properties of a schema have.
fn arguments(tool: &Tool, properties: &Value) -> Option<Map<String, Value>> {
    let pairs: Vec<(&[&str], Value)> = match tool {
        Tool::Shell {
            command,
            description,
        } => vec![
            (COMMAND, json!(command)),
            (&["description"], json!(description)),
        ],
        Tool::Read { path, limit: None } => vec![(PATH, json!(path))],
        Tool::Read { path, limit } => vec![(PATH, json!(path)), (&["limit"], json!(limit))],
        Tool::Write { path, text } => vec![(PATH, json!(path)), (CONTENT, json!(text))],
        Tool::Edit { path, old, new } | Tool::Replace { path, old, new } => {
            vec![(PATH, json!(path)), (OLD, json!(old)), (NEW, json!(new))]
        }
        Tool::Ls { path } => vec![(PATH, json!(path))],
        Tool::Grep { pattern, path }
        | Tool::Glob {
            directory: path,
            pattern,
        } => vec![(PATTERN, json!(pattern)), (PATH, json!(path))],
        Tool::Todo { todos } => {
            let todo = |(id, content, status): (&str, &str, &str)| {
                let status = status
                    .trim_start_matches("TODO_STATUS_")
                    .to_ascii_lowercase();
                json!({"id": id, "content": content, "status": status, "priority": "medium"})
            };
            let todos = todos
                .iter()
                .map(|it| todo((&it.id, &it.content, &it.status)));
            vec![(&["todos", "plan"], todos.collect())]
        }
        Tool::Task {
            description,
            prompt,
        } => vec![
            (&["description"], json!(description)),
            (&["prompt"], json!(prompt)),
            (&["subagent_type"], json!("general")),
        ],
        Tool::AskQuestion { questions, .. } => vec![(&["questions"], json!(questions))],
        Tool::WebFetch { url } => vec![(&["url"], json!(url))],
        Tool::Mcp { args, .. } => return Some(args.clone()),
        Tool::Patch { .. } | Tool::Delete { .. } | Tool::GetMcpTools { .. } => return None,
    };
    let named = pairs.into_iter().map(|(names, value)| {
        let known = names.iter().find(|name| properties.get(**name).is_some());
        let name = known.or(names.first()).copied().unwrap_or_default();
        (name.to_owned(), value)
    });
    Some(named.collect())
}
