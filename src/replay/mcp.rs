//! MCP as a run of Cursor's CLI uses it: the servers it finds, the permissions, the calls.
//!
//! With `--approve-mcps` the CLI connects to every server of `<workspace>/.cursor/mcp.json` and of
//! the configuration directory's `mcp.json`. A call needs an allow rule `Mcp(server:tool)` or
//! `--force`, and no deny rule (FACTS 1.5, 1.6, 5). Its MCP client gives a call up after 60 s and
//! says so to the server (parked.md 3).
//!
//! Servers that are commands are listed, not started: the replay agent starts nothing.

use std::{
    env, fs,
    io::{self, Read as _, Write as _},
    net::TcpStream,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use serde_json::{Map, Value, json};

use super::surface::Run;

/// When the CLI's MCP client gives a request up.
const PATIENCE: Duration = Duration::from_secs(60);

/// The protocol version that is asked for.
const VERSION: &str = "2025-06-18";

/// The MCP servers of a run.
pub struct Mcp {
    servers: Vec<Server>,
    rules: Rules,
    /// How long a request may take.
    pub patience: Duration,
}

/// A server that is reached over HTTP.
struct Server {
    name: String,
    authority: String,
    path: String,
    headers: Vec<(String, String)>,
    ids: AtomicU64,
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
pub fn configured(run: &Run<'_>) -> io::Result<Vec<(String, Value)>> {
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
    pub fn of(run: &Run<'_>) -> io::Result<Option<Self>> {
        let servers: Vec<Server> = configured(run)?
            .iter()
            .filter_map(|(name, server)| Server::new(name, server))
            .collect();
        if servers.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self {
            servers,
            rules: Rules::of(run)?,
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

impl Server {
    fn new(name: &str, config: &Value) -> Option<Self> {
        let (authority, path) = config["url"]
            .as_str()?
            .strip_prefix("http://")?
            .split_once('/')?;
        let headers = config["headers"].as_object().into_iter().flatten();
        let headers =
            headers.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
        Some(Self {
            name: name.to_owned(),
            authority: authority.to_owned(),
            path: format!("/{path}"),
            headers: headers.collect(),
            ids: AtomicU64::new(0),
        })
    }

    fn request(&self, method: &str, params: &Value, patience: Duration) -> io::Result<Value> {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let answers = match self.post(&message, patience) {
            Ok(answers) => answers,
            Err(error) if is_timeout(&error) => {
                let reason = json!({"requestId": id, "reason": "Request timed out"});
                let _ = self.notify("notifications/cancelled", &reason);
                return Err(io::Error::other("MCP error -32001: Request timed out"));
            }
            Err(error) => return Err(error),
        };
        let answer = answers.into_iter().find(|answer| answer["id"] == id);
        let answer =
            answer.ok_or_else(|| io::Error::other(format!("{method} was not answered")))?;
        match answer.get("error") {
            Some(error) => Err(io::Error::other(format!(
                "MCP error {}: {}",
                error["code"],
                error["message"].as_str().unwrap_or_default()
            ))),
            None => Ok(answer["result"].clone()),
        }
    }

    fn notify(&self, method: &str, params: &Value) -> io::Result<()> {
        let message = json!({"jsonrpc": "2.0", "method": method, "params": params});
        self.post(&message, PATIENCE).map(drop)
    }

    /// Sends a message and returns those of the answer.
    fn post(&self, message: &Value, patience: Duration) -> io::Result<Vec<Value>> {
        let deadline = Instant::now() + patience;
        let body = message.to_string();
        let mut head = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: {VERSION}\r\n\
             Content-Length: {}\r\n",
            self.path,
            self.authority,
            body.len()
        );
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        let mut stream = TcpStream::connect(&self.authority)?;
        stream.write_all(format!("{head}\r\n{body}").as_bytes())?;
        let mut answer = Vec::new();
        let mut piece = [0; 16 * 1024];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            stream.set_read_timeout(Some(left))?;
            match stream.read(&mut piece)? {
                0 => break,
                length => answer.extend(&piece[..length]),
            }
        }
        messages(&answer)
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock
    )
}

/// The messages of an HTTP answer: of an event stream, or of a JSON body.
fn messages(answer: &[u8]) -> io::Result<Vec<Value>> {
    let broken = || io::Error::other("the MCP server broke off its answer");
    let end = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .ok_or_else(broken)?;
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let status = head.split(' ').nth(1).unwrap_or_default();
    if !status.starts_with('2') {
        return Err(io::Error::other(format!(
            "the MCP server answered with status {status}"
        )));
    }
    let body = &answer[end + 4..];
    let body = if head.contains("transfer-encoding: chunked") {
        dechunk(body).ok_or_else(broken)?
    } else {
        body.to_vec()
    };
    let text = String::from_utf8_lossy(&body);
    if head.contains("content-type: text/event-stream") {
        let data = text.lines().filter_map(|line| line.strip_prefix("data:"));
        return Ok(data
            .filter_map(|data| serde_json::from_str(data).ok())
            .collect());
    }
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![serde_json::from_str(&text)?])
}

fn dechunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..line]).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        let start = line + 2;
        body.extend(rest.get(start..start + size)?);
        rest = rest.get(start + size + 2..)?;
    }
}

/// What `permissions` of `cli-config.json` say of MCP.
struct Rules {
    allow: Vec<String>,
    deny: Vec<String>,
    force: bool,
}

impl Rules {
    fn of(run: &Run<'_>) -> io::Result<Self> {
        let config = config_file("cli-config.json")
            .map(|file| read_json(&file))
            .transpose()?;
        let permissions = config.flatten().unwrap_or_default();
        let list = |key: &str| -> Vec<String> {
            let rules = permissions["permissions"][key]
                .as_array()
                .into_iter()
                .flatten();
            rules
                .filter_map(|rule| Some(rule.as_str()?.to_owned()))
                .collect()
        };
        Ok(Self {
            allow: list("allow"),
            deny: list("deny"),
            force: run.args.force,
        })
    }

    /// How a call that must not be made ends.
    fn refusal(&self, server: &str, tool: &str) -> Option<Value> {
        let covers = |rules: &[String]| rules.iter().any(|rule| covers(rule, server, tool));
        if covers(&self.deny) {
            let error = "MCP tool blocked by permissions configuration";
            return Some(json!({"permissionDenied": {"error": error, "isReadonly": false}}));
        }
        if self.force || covers(&self.allow) {
            return None;
        }
        let reason = format!("User rejected MCP: {server}-{tool}");
        Some(json!({"rejected": {"reason": reason, "isReadonly": false}}))
    }
}

/// Whether a rule `Mcp(server:tool)` names this tool. `*` stands for anything.
fn covers(rule: &str, server: &str, tool: &str) -> bool {
    let inner = rule
        .strip_prefix("Mcp(")
        .and_then(|rule| rule.strip_suffix(')'));
    inner
        .and_then(|inner| inner.split_once(':'))
        .is_some_and(|(servers, tools)| {
            (servers == "*" || servers == server) && (tools == "*" || tools == tool)
        })
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
fn read_json(file: &std::path::Path) -> io::Result<Option<Value>> {
    match fs::read(file) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| io::Error::other(format!("{} is not JSON: {error}", file.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn deny_beats_allow_and_nothing_is_allowed_by_itself() {
        let refused = |allow: &str, deny: &str, force| {
            let list = |rule: &str| vec![rule.to_owned()];
            let rules = Rules {
                allow: list(allow),
                deny: list(deny),
                force,
            };
            rules
                .refusal("oc", "bash")
                .map(|it| it.as_object().unwrap().keys().next().unwrap().clone())
        };
        assert_eq!(refused("", "", false).unwrap(), "rejected");
        assert_eq!(refused("Mcp(other:*)", "", false).unwrap(), "rejected");
        assert_eq!(refused("Mcp(oc:*)", "", false), None);
        assert_eq!(refused("Mcp(oc:bash)", "Mcp(other:*)", false), None);
        assert_eq!(refused("", "", true), None);
        for force in [true, false] {
            assert_eq!(
                refused("Mcp(oc:*)", "Mcp(*:*)", force).unwrap(),
                "permissionDenied"
            );
        }
    }

    #[test]
    fn answers_in_every_form() {
        let json = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"id\":1}";
        assert_eq!(messages(json).unwrap(), [json!({"id": 1})]);
        let stream = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
            transfer-encoding: chunked\r\n\r\n5\r\n: hi\n\r\n11\r\ndata: {\"id\": 2}\n\n\r\n0\r\n\r\n";
        assert_eq!(messages(stream).unwrap(), [json!({"id": 2})]);
        assert!(
            messages(b"HTTP/1.1 202 Accepted\r\n\r\n")
                .unwrap()
                .is_empty()
        );
        assert!(messages(b"HTTP/1.1 404 Not Found\r\n\r\n{}").is_err());
        assert!(messages(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab").is_err());
        assert!(messages(b"").is_err());
    }
}
