//! All servers, and the names under which a model sees their tools.

use std::{collections::HashSet, ffi::OsString, path::PathBuf, sync::Mutex};

use futures::future::join_all;
use rmcp::model::Tool;
use serde_json::{Map, Value, json};
use tokio_util::task::TaskTracker;

use super::{
    McpHealth, McpLimits, McpServerConfig, answer, live::ServerSetup, server::SupervisedServer,
};
use crate::{
    hands::OwnTool,
    threads::lock,
    turn::{Attachment, ToolSpec},
};

/// The longest name of a tool, as OpenAI's API has it.
const LONGEST: usize = 64;

/// The longest description that a model is shown, in bytes.
const DESCRIPTION: usize = 4_000;

/// The servers of one toolbox.
#[derive(Debug)]
pub struct McpServers {
    servers: Vec<SupervisedServer>,
    /// What they listed last.
    known: Mutex<Vec<ListedTool>>,
    reaper: TaskTracker,
}

/// A tool, and where it is.
#[derive(Debug, Clone)]
struct ListedTool {
    own: OwnTool,
    server: usize,
    /// The server's name for it.
    name: String,
}

impl McpServers {
    /// The servers; none is started yet. `program` is our own executable, `env` what a command gets of
    /// our environment.
    #[must_use]
    pub fn new(
        configs: Vec<McpServerConfig>,
        program: PathBuf,
        env: Vec<(OsString, OsString)>,
        limits: McpLimits,
    ) -> Self {
        let reaper = TaskTracker::new();
        let setup = ServerSetup {
            program,
            env,
            limits,
            reaper: reaper.clone(),
        };
        let servers = configs
            .into_iter()
            .map(|config| SupervisedServer::new(config, setup.clone()));
        Self {
            servers: servers.collect(),
            known: Mutex::default(),
            reaper,
        }
    }

    /// The tools of all servers that can be had; each is started if it does not run.
    pub async fn tools(&self) -> Vec<OwnTool> {
        let listed = join_all(self.servers.iter().map(|server| server.tools())).await;
        let mut used = HashSet::new();
        let mut known = Vec::new();
        for (at, (server, tools)) in self.servers.iter().zip(listed).enumerate() {
            for tool in tools.unwrap_or_default() {
                let shown = unused(&server.config.name, &tool.name, &used);
                used.insert(shown.clone());
                known.push(ListedTool {
                    own: own_tool(&server.config.name, shown, &tool),
                    server: at,
                    name: tool.name.into_owned(),
                });
            }
        }
        let own = known.iter().map(|tool| tool.own.clone()).collect();
        *lock(&self.known) = known;
        own
    }

    /// Whether a server has listed a tool under this name.
    pub fn knows(&self, name: &str) -> bool {
        lock(&self.known)
            .iter()
            .any(|tool| tool.own.spec.name == name)
    }

    /// Calls a tool by the name that a model sees. Text, pictures, and whether it is an error; `Err`
    /// says why there is no answer.
    ///
    /// # Errors
    /// As above.
    pub async fn call(
        &self,
        name: &str,
        arguments: Map<String, Value>,
    ) -> Result<(String, Vec<Attachment>, bool), String> {
        let found = lock(&self.known)
            .iter()
            .find(|tool| tool.own.spec.name == name)
            .cloned();
        let tool = found.ok_or_else(|| format!("error: there is no tool `{name}`"))?;
        let server = &self.servers[tool.server];
        let answer = server.call(&tool.name, arguments).await;
        answer
            .map(|answer| answer::read(&answer))
            .map_err(|error| format!("mcp error: the server `{}`: {error}", server.config.name))
    }

    /// Calls a tool by the server's and the tool's own name: the answer as the server gave it.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn call_raw(
        &self,
        server: &str,
        tool: &str,
        arguments: Map<String, Value>,
    ) -> Result<Value, String> {
        let found = self
            .servers
            .iter()
            .find(|known| known.config.name == server);
        let found = found.ok_or_else(|| format!("there is no MCP server `{server}`"))?;
        found.call(tool, arguments).await
    }

    /// How each of them is.
    #[must_use]
    pub fn health(&self) -> Vec<McpHealth> {
        self.servers.iter().map(|server| server.health()).collect()
    }

    /// Ends all of them, and waits until that is done.
    pub async fn close(&self) {
        join_all(self.servers.iter().map(|server| server.close())).await;
        self.reaper.close();
        self.reaper.wait().await;
    }
}

fn own_tool(server: &str, name: String, tool: &Tool) -> OwnTool {
    let description = tool.description.as_deref().unwrap_or_default();
    let hints = tool.annotations.as_ref();
    OwnTool {
        spec: ToolSpec {
            name,
            description: crate::hands::local::shorten(description, DESCRIPTION),
            schema: schema(&json!(tool.input_schema)).into(),
        },
        source: format!("mcp:{server}"),
        only_reads: hints.is_some_and(|hints| hints.read_only_hint == Some(true)),
    }
}

/// A schema that is none is worse than one that says nothing: some models refuse all tools with it.
fn schema(given: &Value) -> Value {
    let is_object = given.get("type").is_none_or(|kind| kind == "object");
    if given.is_object() && is_object && jsonschema::validator_for(given).is_ok() {
        let mut schema = given.clone();
        schema["type"] = "object".into();
        schema
    } else {
        json!({"type": "object"})
    }
}

/// `server_tool`, in letters that every model takes, and not used yet.
fn unused(server: &str, tool: &str, used: &HashSet<String>) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' {
            c
        } else {
            '_'
        }
    };
    let name: String = format!("{server}_{tool}").chars().map(plain).collect();
    let mut number = 1;
    let mut shown: String = name.chars().take(LONGEST).collect();
    while used.contains(&shown) {
        number += 1;
        let end = format!("_{number}");
        shown = name.chars().take(LONGEST - end.len()).collect();
        shown.push_str(&end);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_unique() {
        let mut used = HashSet::new();
        let long = "x".repeat(100);
        for (server, tool, shown) in [
            ("git", "status", "git_status".to_owned()),
            ("my git", "a/b", "my_git_a_b".to_owned()),
            ("my_git", "a.b", "my_git_a_b_2".to_owned()),
            ("s", &long, format!("s_{}", "x".repeat(62))),
            ("s", &long, format!("s_{}_2", "x".repeat(60))),
        ] {
            let name = unused(server, tool, &used);
            assert_eq!(name, shown);
            used.insert(name);
        }
    }

    #[test]
    fn a_schema_that_is_none_becomes_one() {
        let good = json!({"properties": {"a": {"type": "string"}}});
        assert_eq!(schema(&good)["properties"], good["properties"]);
        assert_eq!(schema(&good)["type"], "object");
        for bad in [
            json!(null),
            json!("object"),
            json!({"type": "string"}),
            json!({"type": "object", "properties": {"a": {"type": "no type"}}}),
            json!({"type": "object", "properties": 7}),
        ] {
            assert_eq!(schema(&bad), json!({"type": "object"}), "{bad}");
        }
    }
}
