//! Cursor's native tools: their `args` objects and how a refused call looks (SCHEMA 3).

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::ident::now_ms;

/// What a refused call says of the reason.
const REASON: &str = "the replay agent does not execute this";

/// A native call, as far as a scenario spells it out.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[allow(missing_docs)] // The fields are Cursor's arguments of the same meaning.
pub enum ReplayTool {
    /// A shell command.
    Shell {
        command: String,
        description: String,
    },
    /// The content of a file.
    Read { path: String, limit: Option<u32> },
    /// A new file, by the edit tool: `streamContent` holds the whole text.
    Write { path: String, text: String },
    /// A change to a file, by the edit tool: `streamContent` holds the new fragment only.
    Edit {
        path: String,
        old: String,
        new: String,
    },
    /// A change to a file as GPT models make it: the arguments hold nothing but the path.
    Patch { path: String, edits: Vec<Edit> },
    /// A change to a file in the older shape that carries the old text as well.
    Replace {
        path: String,
        old: String,
        new: String,
    },
    /// The end of a file.
    Delete { path: String },
    /// A directory's tree (up to early 2026).
    Ls { path: String },
    /// A search in files.
    Grep { pattern: String, path: String },
    /// A search for file names.
    Glob { directory: String, pattern: String },
    /// A new to-do list.
    Todo { todos: Vec<Todo> },
    /// A subagent.
    Task { description: String, prompt: String },
    /// Questions to the user, each as `{id, prompt, options: [{id, label}], allowMultiple}`.
    AskQuestion {
        title: String,
        questions: Vec<Value>,
    },
    /// A web page.
    WebFetch { url: String },
    /// A look at the tools of an MCP server, which the CLI's model takes before its first call.
    GetMcpTools { server: String },
    /// A tool of an MCP server.
    Mcp {
        server: String,
        tool: String,
        args: Map<String, Value>,
    },
}

/// The first occurrence of a text, replaced by another.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// What is there.
    pub old: String,
    /// What takes its place.
    pub new: String,
}

/// One line of a to-do list.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Todo {
    /// Its id.
    pub id: String,
    /// What is to be done.
    pub content: String,
    /// `TODO_STATUS_PENDING`, `_IN_PROGRESS`, `_COMPLETED` or `_CANCELLED`.
    pub status: String,
}

/// The ids that Cursor repeats inside some arguments.
pub(super) struct Ids<'a> {
    pub call: &'a str,
    pub session: &'a str,
    pub request: &'a str,
}

impl ReplayTool {
    /// The key of the `tool_call` object.
    #[must_use]
    pub fn key(&self) -> &'static str {
        match self {
            Self::Shell { .. } => "shellToolCall",
            Self::Read { .. } => "readToolCall",
            Self::Write { .. } | Self::Edit { .. } | Self::Patch { .. } | Self::Replace { .. } => {
                "editToolCall"
            }
            Self::Delete { .. } => "deleteToolCall",
            Self::Ls { .. } => "lsToolCall",
            Self::Grep { .. } => "grepToolCall",
            Self::Glob { .. } => "globToolCall",
            Self::Todo { .. } => "updateTodosToolCall",
            Self::Task { .. } => "taskToolCall",
            Self::AskQuestion { .. } => "askQuestionToolCall",
            Self::WebFetch { .. } => "webFetchToolCall",
            Self::GetMcpTools { .. } => "getMcpToolsToolCall",
            Self::Mcp { .. } => "mcpToolCall",
        }
    }

    /// The `description` beside the arguments, where Cursor puts one.
    pub(super) fn description(&self) -> Option<String> {
        match self {
            Self::Shell { description, .. } => Some(description.clone()),
            Self::Mcp { server, tool, .. } => Some(format!("Call {tool} of {server}")),
            _ => None,
        }
    }

    /// The whole `args` object.
    pub(super) fn args(&self, ids: &Ids<'_>) -> Value {
        let id = ids.call;
        match self {
            Self::Shell {
                command,
                description,
            } => shell_args(command, description, ids),
            Self::Read { path, limit: None } => json!({"path": path}),
            Self::Read { path, limit } => json!({"path": path, "limit": limit}),
            Self::Write {
                path,
                text: content,
            }
            | Self::Edit {
                path, new: content, ..
            } => json!({"path": path, "streamContent": content}),
            Self::Patch { path, .. } => json!({"path": path}),
            Self::Delete { path } => json!({"path": path, "toolCallId": id}),
            Self::Replace { path, old, new } => json!({
                "path": path,
                "strReplace": {"oldText": old, "newText": new, "replaceAll": false},
            }),
            Self::Ls { path } => json!({"path": path, "ignore": [], "toolCallId": id}),
            Self::Grep { pattern, path } => json!({
                "pattern": pattern, "path": path, "outputMode": "content",
                "caseInsensitive": false, "multiline": false, "toolCallId": id, "offset": 0,
            }),
            Self::Glob { directory, pattern } => {
                json!({"targetDirectory": directory, "globPattern": pattern})
            }
            Self::Todo { todos } => json!({"todos": todo_args(todos), "merge": false}),
            Self::Task {
                description,
                prompt,
            } => json!({
                "description": description, "prompt": prompt,
                "subagentType": {"unspecified": {}}, "model": "auto", "attachments": [],
                "mode": "TASK_MODE_UNSPECIFIED", "respondingToMessageIds": [],
                "environment": "SUBAGENT_EXECUTION_ENVIRONMENT_UNSPECIFIED",
                "machine": {"sameMachine": {}},
            }),
            Self::AskQuestion { title, questions } => {
                json!({"title": title, "questions": questions})
            }
            Self::WebFetch { url } => json!({"url": url, "toolCallId": id}),
            Self::GetMcpTools { server } => json!({"server": server, "toolCallId": id}),
            Self::Mcp { server, tool, args } => json!({
                "name": format!("{server}-{tool}"), "args": args, "toolCallId": id,
                "providerIdentifier": server, "toolName": tool, "smartModeApprovalOnly": false,
                "skipApproval": false, "serverIdentifier": server,
            }),
        }
    }

    /// The `result` of the call when it is not executed. A to-do list touches nothing but the
    /// agent's own memory, so it succeeds.
    #[must_use]
    pub fn refusal(&self) -> Value {
        match self {
            Self::Shell { command, .. } => json!({"rejected": {
                "command": command, "workingDirectory": "", "reason": REASON, "isReadonly": false,
            }}),
            Self::Read { .. } => json!({"error": {"errorMessage": REASON}}),
            Self::Write { path, .. }
            | Self::Edit { path, .. }
            | Self::Patch { path, .. }
            | Self::Replace { path, .. }
            | Self::Delete { path }
            | Self::Ls { path } => json!({"rejected": {"path": path, "reason": REASON}}),
            Self::Grep { .. }
            | Self::Glob { .. }
            | Self::Task { .. }
            | Self::GetMcpTools { .. } => {
                json!({"error": {"error": REASON}})
            }
            Self::Todo { todos } => json!({"success": {
                "todos": todo_args(todos), "totalCount": todos.len(), "wasMerge": false,
            }}),
            Self::AskQuestion { .. } | Self::WebFetch { .. } => {
                json!({"rejected": {"reason": REASON}})
            }
            Self::Mcp { .. } => json!({"rejected": {"reason": REASON, "isReadonly": false}}),
        }
    }
}

fn shell_args(command: &str, description: &str, ids: &Ids<'_>) -> Value {
    let mut words = command.split_whitespace();
    let name = words.next().unwrap_or_default();
    let args: Vec<Value> = words
        .map(|word| json!({"type": "word", "value": word}))
        .collect();
    json!({
        "command": command, "workingDirectory": "", "timeout": 30000, "toolCallId": ids.call,
        "simpleCommands": [name], "hasInputRedirect": false, "hasOutputRedirect": false,
        "parsingResult": {
            "parsingFailed": false,
            "executableCommands": [{"name": name, "args": args, "fullText": command}],
            "hasRedirects": false, "hasCommandSubstitution": false, "redirects": [],
        },
        "fileOutputThresholdBytes": "40000", "isBackground": false, "skipApproval": false,
        "timeoutBehavior": "TIMEOUT_BEHAVIOR_BACKGROUND", "hardTimeout": 86_400_000,
        "description": description, "closeStdin": true, "conversationId": ids.session,
        "adminCommandDenylist": [], "requestId": ids.request,
    })
}

fn todo_args(todos: &[Todo]) -> Vec<Value> {
    let now = now_ms().to_string();
    todos
        .iter()
        .map(|todo| {
            json!({
                "id": todo.id, "content": todo.content, "status": todo.status,
                "createdAt": now, "updatedAt": now, "dependencies": [],
            })
        })
        .collect()
}
