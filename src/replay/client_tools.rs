//! The client's tools in place of native ones, where they can be reached by MCP.
//!
//! Scenarios speak of native tools. A run that has MCP servers has no native ones, so each is
//! replaced by the client's tool of the same meaning, with the arguments that its schema names.

use std::{io, thread};

use serde_json::{Map, Value, json};

use super::{
    emitter::{Emitter, ReplayCall},
    mcp::{Mcp, McpTool, awaits},
    surface::ReplayRun,
    tool::ReplayTool,
};

/// What clients call the paths and texts of their tools' arguments, the most usual first.
const PATH: &[&str] = &["filePath", "file_path", "path", "dir_path", "directory"];
const CONTENT: &[&str] = &["content", "contents", "text", "new_text"];
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
    /// Whether it reads by the agent's own tools.
    reads: bool,
}

impl ClientTools {
    /// The tools of a run; `None` if it has no server, or none that answers.
    pub(super) fn of(run: &ReplayRun<'_>) -> io::Result<Option<Self>> {
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
            reads: !allowed.is_empty() && allows("read_tool_call"),
        }))
    }

    /// Whether the agent makes these calls by its own tools.
    pub(super) fn leaves(&self, tools: &[ReplayTool]) -> bool {
        let reads =
            |tool: &ReplayTool| matches!(tool, ReplayTool::Read { .. } | ReplayTool::Grep { .. });
        self.reads && tools.iter().all(reads)
    }

    /// Makes a batch of calls. Returns what the tools answered, in order; `None` if the client lacks
    /// one of the tools, and then nothing was called.
    pub(super) fn call<W: io::Write>(
        &mut self,
        out: &mut Emitter<W>,
        tools: &[ReplayTool],
    ) -> io::Result<Option<Vec<String>>> {
        let wanted: Option<Vec<ReplayTool>> = tools.iter().map(|tool| self.replace(tool)).collect();
        let Some(wanted) = wanted else {
            return Ok(None);
        };
        if std::mem::take(&mut self.looks) {
            self.look(out)?;
        }
        let calls: Vec<ReplayCall> = wanted.iter().map(|tool| out.call(tool)).collect();
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
            while let (ReplayTool::Mcp { server, .. }, Some((tool, args))) = (tool, awaits(&result))
            {
                let server = server.clone();
                let again = ReplayTool::Mcp { server, tool, args };
                let call = out.call(&again);
                out.started(&call)?;
                result = self.run(&again);
                out.completed(&call, &result)?;
            }
            answers.push(text(&result));
        }
        Ok(Some(answers))
    }

    fn run(&self, tool: &ReplayTool) -> Value {
        match tool {
            ReplayTool::Mcp { server, tool, args } => self.mcp.call(server, tool, args),
            other => other.refusal(),
        }
    }

    /// The look that the CLI's model takes at the tools.
    fn look<W: io::Write>(&self, out: &mut Emitter<W>) -> io::Result<()> {
        let Some(first) = self.tools.first() else {
            return Ok(());
        };
        let call = out.call(&ReplayTool::GetMcpTools {
            server: first.server.clone(),
        });
        out.started(&call)?;
        out.completed(&call, &McpTool::listing(&self.tools))
    }

    /// The client's tool that does what a native one does.
    fn replace(&self, native: &ReplayTool) -> Option<ReplayTool> {
        let tool = names(native).iter().find_map(|name| {
            let mut tools = self.tools.iter();
            tools.find(|tool| folded(&tool.name) == folded(name))
        })?;
        Some(ReplayTool::Mcp {
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
fn names(tool: &ReplayTool) -> Vec<String> {
    let known: &[&str] = match tool {
        ReplayTool::Shell { .. } => &["bash", "shell", "exec_command", "run_shell_command"],
        ReplayTool::Read { .. } => &["read", "read_file", "view", "read_files"],
        ReplayTool::Write { .. } => &["write", "write_file", "create_file", "editor", "save"],
        ReplayTool::Edit { .. } | ReplayTool::Replace { .. } => {
            &["edit", "edit_file", "str_replace"]
        }
        ReplayTool::Ls { .. } => &["list", "ls", "list_dir", "list_directory"],
        ReplayTool::Grep { .. } => &["grep", "search"],
        ReplayTool::Glob { .. } => &["glob", "find_files"],
        ReplayTool::Todo { .. } => &["todowrite", "update_plan"],
        ReplayTool::Task { .. } => &["task", "agent"],
        ReplayTool::AskQuestion { .. } => &["question", "ask_user_question"],
        ReplayTool::WebFetch { .. } => &["webfetch", "fetch"],
        ReplayTool::Mcp { server, tool, .. } => {
            return vec![
                format!("mcp_{server}_{tool}"),
                format!("{server}_{tool}"),
                tool.clone(),
            ];
        }
        ReplayTool::Patch { .. } | ReplayTool::Delete { .. } | ReplayTool::GetMcpTools { .. } => {
            &[]
        }
    };
    known.iter().map(|name| (*name).to_owned()).collect()
}

/// The arguments under the names that the properties of a schema have.
fn arguments(tool: &ReplayTool, properties: &Value) -> Option<Map<String, Value>> {
    let pairs: Vec<(&[&str], Value)> = match tool {
        ReplayTool::Shell {
            command,
            description,
        } => vec![
            (COMMAND, json!(command)),
            (&["description"], json!(description)),
        ],
        ReplayTool::Read { path, limit: None } => vec![(PATH, json!(path))],
        ReplayTool::Read { path, limit } => vec![(PATH, json!(path)), (&["limit"], json!(limit))],
        ReplayTool::Write { path, text } => vec![(PATH, json!(path)), (CONTENT, json!(text))],
        ReplayTool::Edit { path, old, new } | ReplayTool::Replace { path, old, new } => {
            vec![(PATH, json!(path)), (OLD, json!(old)), (NEW, json!(new))]
        }
        ReplayTool::Ls { path } => vec![(PATH, json!(path))],
        ReplayTool::Grep { pattern, path }
        | ReplayTool::Glob {
            directory: path,
            pattern,
        } => vec![(PATTERN, json!(pattern)), (PATH, json!(path))],
        ReplayTool::Todo { todos } => {
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
        ReplayTool::Task {
            description,
            prompt,
        } => vec![
            (&["description"], json!(description)),
            (&["prompt"], json!(prompt)),
            (&["subagent_type"], json!("general")),
        ],
        ReplayTool::AskQuestion { questions, .. } => vec![(&["questions"], json!(questions))],
        ReplayTool::WebFetch { url } => vec![(&["url"], json!(url))],
        ReplayTool::Mcp { args, .. } => return Some(args.clone()),
        ReplayTool::Patch { .. } | ReplayTool::Delete { .. } | ReplayTool::GetMcpTools { .. } => {
            return None;
        }
    };
    let named = pairs.into_iter().map(|(names, value)| {
        let known = names.iter().find(|name| properties.get(**name).is_some());
        // Cline reads several files at once.
        if known.is_none() && names == PATH && properties.get("files").is_some() {
            return ("files".to_owned(), json!([{ "path": value }]));
        }
        let name = known.or(names.first()).copied().unwrap_or_default();
        (name.to_owned(), value)
    });
    Some(named.collect())
}
