//! Runs that call the client's tools by MCP, as Cursor's CLI does.
//!
//! [`SCRIPTS`] is the table: each scenario is a list of steps. The model of these scenarios is a
//! willing one: it lists the tools, calls one that it prefers with arguments made up from the schema,
//! waits by `await_result` where the server says that a tool is still running, and says all results
//! at its end, one a line. What it does wrong is what the script says. Without a server, or with
//! results in its prompt, it is `fake-tool-shell`.

mod scripts;

use std::{
    io,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use open_cursor::replay::{Mcp, McpTool, ReplayCall, ReplayRun, ReplayTool, awaits, configured};
use serde_json::{Map, Value, json};

pub use self::scripts::NAMES;
use self::scripts::{Discover, SCRIPTS, Step};
use crate::{Out, begin_with_prompt, finish, tools};

/// What the tools that are preferred are called.
const PREFERRED: &[&str] = &["bash", "shell", "exec_command", "read"];

/// A call to be made.
#[derive(Clone)]
struct Wanted {
    server: String,
    tool: String,
    arguments: Map<String, Value>,
}

/// Servers that are commands, as the CLI starts them too.
struct Started(Vec<Child>);

/// The model, so to speak.
struct Player<'a> {
    out: Out<'a>,
    mcp: Arc<Mcp>,
    workspace: PathBuf,
    tools: Vec<McpTool>,
    /// Whether it looks at the tools before its first call.
    looks: bool,
    made: u32,
    /// What the tools answered, a line each.
    results: Vec<String>,
}

pub fn play(run: &mut ReplayRun<'_>, scenario: &str) -> io::Result<u8> {
    let _started = Started::of(run)?;
    let Some(mut mcp) = Mcp::of(run)? else {
        return tools::one(run, "shell");
    };
    let allowed = run.args.allowed_tools.clone();
    let allows = |name: &str| allowed.is_empty() || allowed.iter().any(|tool| tool == name);
    let workspace = run.workspace.clone();
    let (mut out, prompt) = begin_with_prompt(run)?;
    if prompt.contains("=== TOOL_RESULT ") {
        // The CLI looks for tools before it asks the model.
        if !["blind", "init-only", "lists-too-late"].contains(&scenario) && mcp.initialize().is_ok()
        {
            let _ = mcp.tools();
        }
        out.say("The tool has answered.")?;
        return finish(out);
    }
    let known = SCRIPTS.iter().find(|(name, _)| *name == scenario);
    let steps: Vec<Step> = match known {
        Some((_, steps)) => serde_json::from_str(steps)?,
        None => {
            let mut lines = prompt.lines().rev().map(str::trim);
            let line = lines.find(|line| line.starts_with("[{"));
            serde_json::from_str(line.unwrap_or_default())?
        }
    };
    let patience = steps.iter().find_map(|step| match step {
        Step::Patience(ms) => Some(Duration::from_millis(*ms)),
        _ => None,
    });
    mcp.patience = patience.unwrap_or(mcp.patience);
    let mut player = Player {
        out,
        mcp: Arc::new(mcp),
        workspace,
        tools: Vec::new(),
        looks: allows("get_mcp_tools_tool_call"),
        made: 0,
        results: Vec::new(),
    };
    player.discover(&steps)?;
    if !allows("mcp_tool_call") {
        player.tools.clear();
    }
    match player.steps(steps)? {
        Some(code) => Ok(code),
        None => player.end(),
    }
}

impl Started {
    fn of(run: &ReplayRun<'_>) -> io::Result<Self> {
        let mut children = Vec::new();
        for (_, server) in configured(run)? {
            let Some(command) = server["command"].as_str() else {
                continue;
            };
            let args = server["args"].as_array().into_iter().flatten();
            let args = args.filter_map(Value::as_str);
            let mut command = Command::new(command);
            command
                .args(args)
                .stdin(Stdio::piped())
                .stdout(Stdio::null());
            children.extend(command.spawn());
        }
        Ok(Self(children))
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // A server ends with its input; one that does not is killed.
            drop(child.stdin.take());
            let end = Instant::now() + Duration::from_secs(2);
            while Instant::now() < end && matches!(child.try_wait(), Ok(None)) {
                thread::sleep(Duration::from_millis(5));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Player<'_> {
    /// Connects, as far as the script lets it. A server that can't be reached is one without tools.
    fn discover(&mut self, steps: &[Step]) -> io::Result<()> {
        let how = steps.iter().find_map(|step| match step {
            Step::Discover(how) => Some(how),
            _ => None,
        });
        if matches!(how, Some(Discover::Never)) || self.mcp.initialize().is_err() {
            return Ok(());
        }
        match how {
            Some(Discover::Initialize | Discover::Never) => return Ok(()),
            Some(Discover::After(ms)) => thread::sleep(Duration::from_millis(*ms)),
            None => {}
        }
        self.tools = self.mcp.tools().unwrap_or_default();
        Ok(())
    }

    /// Plays the steps; an exit code ends the run.
    fn steps(&mut self, steps: Vec<Step>) -> io::Result<Option<u8>> {
        for step in steps {
            match step {
                Step::Say(text) => self.out.say(&text)?,
                Step::Calls(count) => {
                    for _ in 0..count {
                        let wanted = self.invent();
                        self.make(wanted)?;
                    }
                }
                Step::Same(count) => {
                    let wanted = self.invent();
                    for _ in 0..count {
                        self.make(wanted.clone())?;
                    }
                }
                Step::Misnamed(count) => {
                    for _ in 0..count {
                        let mut wanted = self.invent();
                        wanted.arguments = Map::from_iter([("nonsense".to_owned(), json!(1))]);
                        self.make(wanted)?;
                    }
                }
                Step::Call { tool, arguments } => {
                    let server = self.tools.first().map(|tool| tool.server.clone());
                    self.make(Wanted {
                        server: server.unwrap_or_default(),
                        tool,
                        arguments,
                    })?;
                }
                Step::Batch {
                    at,
                    announced,
                    during,
                } => {
                    let calls = at.iter().map(|at| (*at, self.invent())).collect();
                    if let Some(code) = self.batch(calls, announced, during)? {
                        return Ok(Some(code));
                    }
                }
                Step::Edit(name) => {
                    let path = self.workspace.join(name);
                    tools::write_file(&mut self.out, &path, "written behind your back\n")?;
                }
                Step::Wait(ms) => thread::sleep(Duration::from_millis(ms)),
                Step::Patience(_) | Step::Discover(_) => {}
                Step::Exit(code) => return Ok(Some(code)),
            }
        }
        Ok(None)
    }

    fn make(&mut self, wanted: Wanted) -> io::Result<()> {
        self.batch(vec![(0, wanted)], false, Vec::new()).map(drop)
    }

    /// Makes calls at their times and takes the results as they come.
    fn batch(
        &mut self,
        calls: Vec<(u64, Wanted)>,
        announced: bool,
        during: Vec<Step>,
    ) -> io::Result<Option<u8>> {
        if self.tools.is_empty() {
            self.out.say("I have no tools.")?;
            return Ok(None);
        }
        self.look()?;
        let begun = Instant::now();
        let (sender, answers) = mpsc::channel();
        let mut open: Vec<(ReplayCall, Wanted)> = Vec::new();
        if announced {
            for (_, wanted) in &calls {
                let call = self.announce(wanted)?;
                open.push((call, wanted.clone()));
            }
        }
        let mut calls: Vec<_> = calls.into_iter().enumerate().collect();
        calls.sort_by_key(|(_, (at, _))| *at);
        for (number, (at, wanted)) in calls {
            thread::sleep(Duration::from_millis(at).saturating_sub(begun.elapsed()));
            if !announced {
                let call = self.announce(&wanted)?;
                open.push((call, wanted.clone()));
            }
            self.send(number, wanted, &sender);
        }
        if let Some(code) = self.steps(during)? {
            return Ok(Some(code));
        }
        let mut waiting = open.len();
        while waiting > 0 {
            let (number, result): (usize, Value) = answers.recv().map_err(io::Error::other)?;
            let Some((call, wanted)) = open.get(number).cloned() else {
                break;
            };
            self.out.completed(&call, &result)?;
            let Some((tool, arguments)) = awaits(&result) else {
                self.results.push(report(&wanted, &result));
                waiting -= 1;
                continue;
            };
            let again = Wanted {
                server: wanted.server,
                tool,
                arguments,
            };
            let call = self.announce(&again)?;
            let number = open.len();
            open.push((call, again.clone()));
            self.send(number, again, &sender);
        }
        Ok(None)
    }

    fn announce(&mut self, wanted: &Wanted) -> io::Result<ReplayCall> {
        let call = self.out.call(&ReplayTool::Mcp {
            server: wanted.server.clone(),
            tool: wanted.tool.clone(),
            args: wanted.arguments.clone(),
        });
        self.out.started(&call)?;
        Ok(call)
    }

    /// Makes a call in the background.
    fn send(&self, number: usize, wanted: Wanted, answers: &mpsc::Sender<(usize, Value)>) {
        let (mcp, answers) = (Arc::clone(&self.mcp), answers.clone());
        thread::spawn(move || {
            let result = mcp.call(&wanted.server, &wanted.tool, &wanted.arguments);
            let _ = answers.send((number, result));
        });
    }

    /// Looks at the tools, once.
    fn look(&mut self) -> io::Result<()> {
        let Some(tool) = self.tools.first() else {
            return Ok(());
        };
        if !std::mem::take(&mut self.looks) {
            return Ok(());
        }
        let call = self.out.call(&ReplayTool::GetMcpTools {
            server: tool.server.clone(),
        });
        self.out.started(&call)?;
        self.out.completed(&call, &McpTool::listing(&self.tools))
    }

    /// A call of the preferred tool, different from all before.
    fn invent(&mut self) -> Wanted {
        self.made += 1;
        let preferred = PREFERRED.iter().find_map(|name| {
            let mut tools = self.tools.iter();
            tools.find(|tool| tool.name.eq_ignore_ascii_case(name))
        });
        let Some(tool) = preferred.or(self.tools.first()) else {
            return Wanted {
                server: String::new(),
                tool: String::new(),
                arguments: Map::new(),
            };
        };
        let properties = tool.schema["properties"].as_object();
        let required = tool.schema["required"].as_array();
        let is_required = |name: &str| {
            required.is_none_or(|required| required.iter().any(|it| it.as_str() == Some(name)))
        };
        let arguments = properties
            .into_iter()
            .flatten()
            .filter(|(name, _)| is_required(name))
            .map(|(name, schema)| (name.clone(), self.value(name, schema)))
            .collect();
        Wanted {
            server: tool.server.clone(),
            tool: tool.name.clone(),
            arguments,
        }
    }

    /// A value for a property.
    fn value(&self, name: &str, schema: &Value) -> Value {
        let number = self.made;
        match schema["type"].as_str() {
            Some("number" | "integer") => number.into(),
            Some("boolean") => true.into(),
            Some("array") => json!([]),
            Some("object") => json!({}),
            _ if schema["enum"][0].is_string() => schema["enum"][0].clone(),
            _ if name.contains("command") => format!("echo fake {number}").into(),
            _ if name.to_ascii_lowercase().contains("path") => {
                let path = self.workspace.join(format!("fake-{number}.txt"));
                path.to_string_lossy().into()
            }
            _ => format!("fake {number}").into(),
        }
    }

    fn end(mut self) -> io::Result<u8> {
        let results = std::mem::take(&mut self.results);
        if !results.is_empty() {
            self.out.say(&results.join("\n"))?;
        }
        finish(self.out)
    }
}

/// What a tool answered, on a line: `tool: text`, `tool failed: text` or `tool rejected: reason`.
fn report(wanted: &Wanted, result: &Value) -> String {
    let tool = &wanted.tool;
    let Some(success) = result.get("success") else {
        let (kind, why) = result
            .as_object()
            .and_then(|result| result.iter().next())
            .map_or(("", &Value::Null), |(kind, why)| (kind.as_str(), why));
        let why = why
            .get("error")
            .or(why.get("reason"))
            .and_then(Value::as_str);
        return format!("{tool} {kind}: {}", why.unwrap_or_default());
    };
    let parts = success["content"].as_array().into_iter().flatten();
    let texts: Vec<String> = parts
        .map(|part| match part["image"]["mimeType"].as_str() {
            Some(kind) => {
                let data = part["image"]["data"].as_str().unwrap_or_default();
                format!("({kind}, {} characters)", data.len())
            }
            None => part["text"]["text"].as_str().unwrap_or_default().to_owned(),
        })
        .collect();
    let failed = if success["isError"] == true {
        " failed"
    } else {
        ""
    };
    format!("{tool}{failed}: {}", texts.join(" "))
}
