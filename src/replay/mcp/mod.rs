//! MCP as a run of Cursor's CLI uses it: the servers it finds, the permissions, the calls.
//!
//! With `--approve-mcps` the CLI connects to every server of `<workspace>/.cursor/mcp.json` and of
//! the configuration directory's `mcp.json`. A call needs an allow rule `Mcp(server:tool)` or
//! `--force`, and no deny rule (FACTS 1.5, 1.6, 5). Its MCP client gives a call up after 60 s and
//! says so to the server (parked.md 3).
//!
//! Servers that are commands are listed, not started: the replay agent starts nothing.

mod rules;
mod server;

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Map, Value, json};

use self::{
    rules::McpRules,
    server::{McpServer, VERSION},
};
use super::surface::ReplayRun;

/// When the CLI's MCP client gives a request up.
const PATIENCE: Duration = Duration::from_secs(60);

/// The MCP servers of a run.
pub struct Mcp {
    servers: Vec<McpServer>,
    rules: McpRules,
    /// How long a request may take.
    pub patience: Duration,
}

/// A tool of one of the servers.
#[derive(Debug, Clone, PartialEq)]
pub struct McpTool {
    /// The server's name in the configuration.
    pub server: String,
    /// The tool's name.
    pub name: String,
    /// What the server says of it.
    pub description: String,
    /// JSON Schema of the arguments.
    pub schema: Value,
}

impl McpTool {
    /// The `result` of a look at some tools.
    #[must_use]
    pub fn listing(tools: &[Self]) -> Value {
        let tools = tools.iter().map(|tool| {
            json!({
                "tool": tool.name, "description": tool.description, "inputSchema": tool.schema,
            })
        });
        let content = format!("{:#}", Value::from_iter(tools));
        json!({"success": {"content": content}})
    }
}

/// The servers that a run may use, by name, as the configuration files have them.
///
/// # Errors
/// A file that is not JSON.
pub fn configured(run: &ReplayRun<'_>) -> io::Result<Vec<(String, Value)>> {
    let mut servers = Vec::new();
    if !run.args.approve_mcps {
        return Ok(servers);
    }
    let project = run.workspace.join(".cursor/mcp.json");
    for file in [Some(project), config_file("mcp.json")]
        .into_iter()
        .flatten()
    {
        let Some(config) = read_json(&file)? else {
            continue;
        };
        for (name, server) in config["mcpServers"].as_object().into_iter().flatten() {
            servers.push((name.clone(), server.clone()));
        }
    }
    Ok(servers)
}

impl Mcp {
    /// The servers of a run and its permissions; `None` if there is no server over HTTP.
    ///
    /// # Errors
    /// A configuration that can't be read.
    pub fn of(run: &ReplayRun<'_>) -> io::Result<Option<Self>> {
        let servers: Vec<McpServer> = configured(run)?
            .iter()
            .filter_map(|(name, server)| McpServer::new(name, server))
            .collect();
        if servers.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self {
            servers,
            rules: McpRules::of(run)?,
            patience: PATIENCE,
        }))
    }

    /// Opens the connection to each server.
    ///
    /// # Errors
    /// What the network or the server says.
    pub fn initialize(&self) -> io::Result<()> {
        for server in &self.servers {
            let params = json!({
                "protocolVersion": VERSION, "capabilities": {},
                "clientInfo": {"name": "replay", "version": env!("CARGO_PKG_VERSION")},
            });
            server.request("initialize", &params, self.patience)?;
            server.notify("notifications/initialized", &json!({}))?;
        }
        Ok(())
    }

    /// The tools of all servers.
    ///
    /// # Errors
    /// What the network or the server says.
    pub fn tools(&self) -> io::Result<Vec<McpTool>> {
        let mut tools = Vec::new();
        for server in &self.servers {
            let mut params = json!({});
            loop {
                let page = server.request("tools/list", &params, self.patience)?;
                for tool in page["tools"].as_array().into_iter().flatten() {
                    let text = |key: &str| tool[key].as_str().unwrap_or_default().to_owned();
                    tools.push(McpTool {
                        server: server.name.clone(),
                        name: text("name"),
                        description: text("description"),
                        schema: tool["inputSchema"].clone(),
                    });
                }
                match page.get("nextCursor") {
                    Some(cursor) => params = json!({"cursor": cursor}),
                    None => break,
                }
            }
        }
        Ok(tools)
    }

    /// Calls a tool and returns the `result` object of its event (SCHEMA 3).
    #[must_use]
    pub fn call(&self, server: &str, tool: &str, arguments: &Map<String, Value>) -> Value {
        if let Some(refusal) = self.rules.refusal(server, tool) {
            return refusal;
        }
        let params = json!({"name": tool, "arguments": arguments});
        let named = self.servers.iter().find(|known| known.name == server);
        let answer = named
            .ok_or_else(|| io::Error::other(format!("no MCP server `{server}`")))
            .and_then(|server| server.request("tools/call", &params, self.patience));
        match answer {
            Ok(result) => json!({"success": {
                "content": content(&result), "isError": result["isError"] == true,
                "systemReminders": [],
            }}),
            Err(error) => json!({"error": {"error": error.to_string(), "systemReminders": []}}),
        }
    }
}

/// The content of a result, in the shape of Cursor's events.
fn content(result: &Value) -> Vec<Value> {
    let parts = result["content"].as_array().into_iter().flatten();
    let part = |part: &Value| match part["type"].as_str() {
        Some("image") => json!({"image": {"data": part["data"], "mimeType": part["mimeType"]}}),
        _ => json!({"text": {"text": part["text"]}}),
    };
    parts.map(part).collect()
}

/// The call that fetches a result which is not there yet: the server says so, with the tool to call
/// and the call's id.
#[must_use]
pub fn awaits(result: &Value) -> Option<(String, Map<String, Value>)> {
    let text = result["success"]["content"][0]["text"]["text"].as_str()?;
    let status: Value = serde_json::from_str(text).ok()?;
    if status["status"] != "still running" {
        return None;
    }
    let tool = status["next_step"].as_str()?.split('`').nth(1)?;
    let id = ("id".to_owned(), status.get("id")?.clone());
    Some((tool.to_owned(), Map::from_iter([id])))
}

/// A file of the CLI's configuration directory.
fn config_file(name: &str) -> Option<PathBuf> {
    let set = |name: &str| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let directory = set("CURSOR_CONFIG_DIR")
        .or_else(|| Some(set("XDG_CONFIG_HOME")?.join("cursor")))
        .or_else(|| Some(set("HOME")?.join(".cursor")))?;
    Some(directory.join(name))
}

/// A JSON file; `None` if there is none.
fn read_json(file: &Path) -> io::Result<Option<Value>> {
    match fs::read(file) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| io::Error::other(format!("{} is not JSON: {error}", file.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
