//! What Cursor's CLI looks like from outside (SCHEMA 4 to 6, FACTS 1.2 and 3): commands, checks
//! before a run, messages, exit codes. What a run then says is up to a [`Repertoire`].
//!
//! Messages keep the words by which callers tell failures apart; the rest is ours.

use std::ffi::OsString;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use serde_json::json;

use super::args::Args;
use super::emitter::ReplaySession;
use crate::agent::uuid;

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "-replay");
const EMAIL: &str = "replay-agent@localhost";

const HELP: &str = "\
Usage: agent [options] [command] [prompt...]

The replay agent of open-cursor: it takes the options of Cursor's CLI and answers from a script.
`--replay-pace MS` sets the pause between two pieces of text (default 12). With `--approve-mcps` the
tools of the MCP servers in .cursor/mcp.json are called.

Commands: models, status --format json, create-chat, login, logout
";

/// The names that `--allowed-tools` takes, as far as an agent here knows the tool.
pub const ALLOWED_TOOLS: &[&str] = &[
    "shell_tool_call",
    "delete_tool_call",
    "glob_tool_call",
    "grep_tool_call",
    "read_tool_call",
    "update_todos_tool_call",
    "edit_tool_call",
    "ls_tool_call",
    "mcp_tool_call",
    "task_tool_call",
    "ask_question_tool_call",
    "web_fetch_tool_call",
    "get_mcp_tools_tool_call",
];

/// A row of the model list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelRow {
    /// The id for `--model`.
    pub id: String,
    /// What the list and the `init` event call it.
    pub label: String,
}

/// What an agent can be asked for.
pub trait Repertoire {
    /// The models it lists.
    fn models(&self) -> Vec<ModelRow>;

    /// Whether it runs a model; a listed one or another.
    fn knows(&self, model: &str) -> bool {
        self.models().iter().any(|known| known.id == model)
    }

    /// The names that `--allowed-tools` takes in a run of this model; `None` if the agent is one
    /// that has no such option.
    fn allowed_tools(&self, _model: &str) -> Option<&[&str]> {
        Some(ALLOWED_TOOLS)
    }

    /// What `--help` prints.
    fn help(&self) -> &str {
        HELP
    }

    /// Plays a run and returns its exit code.
    ///
    /// # Errors
    /// What reading the prompt or writing the answer says.
    fn play(&self, run: ReplayRun<'_>) -> io::Result<u8>;
}

/// A run that has passed all checks.
pub struct ReplayRun<'a> {
    /// The arguments.
    pub args: Args,
    /// The workspace, absolute.
    pub workspace: PathBuf,
    /// The model's label.
    pub label: String,
    /// Where the prompt comes from, unless it is among the arguments.
    pub stdin: &'a mut dyn Read,
    /// For events.
    pub stdout: &'a mut dyn Write,
    /// For messages.
    pub stderr: &'a mut dyn Write,
}

impl ReplayRun<'_> {
    /// The prompt: the words of the command line, else standard input to its end.
    ///
    /// # Errors
    /// What reading standard input says.
    pub fn prompt(&mut self) -> io::Result<String> {
        if !self.args.words.is_empty() {
            return Ok(self.args.words.join(" "));
        }
        let mut bytes = Vec::new();
        self.stdin.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The session that the arguments ask for.
    #[must_use]
    pub fn session(&self) -> ReplaySession {
        ReplaySession {
            id: self.args.resume.clone().unwrap_or_else(uuid),
            cwd: self.workspace.to_string_lossy().into_owned(),
            model: self.label.clone(),
            partial: self.args.partial,
            pace: self.args.pace,
        }
    }
}

/// Runs an agent on `args` and returns its exit code. A reader that went away ends it silently.
pub fn run(
    agent: &impl Repertoire,
    args: impl Iterator<Item = OsString>,
    stdin: &mut dyn Read,
    stdout: &mut dyn Write,
    stderr: &mut dyn Write,
) -> u8 {
    let outcome = match Args::parse(args) {
        Ok(args) => dispatch(agent, args, stdin, stdout, stderr),
        Err(message) => refuse(stderr, &message),
    };
    match outcome {
        Ok(code) => code,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => 1,
        Err(error) => {
            let _ = writeln!(stderr, "Error: {error}");
            1
        }
    }
}

fn dispatch(
    agent: &impl Repertoire,
    args: Args,
    stdin: &mut dyn Read,
    stdout: &mut dyn Write,
    stderr: &mut dyn Write,
) -> io::Result<u8> {
    let command = match args.words.first() {
        _ if args.version => "version",
        _ if args.help => "help",
        _ if args.list_models => "models",
        Some(word) => word,
        None => "",
    };
    match command {
        "version" => writeln!(stdout, "{VERSION}")?,
        "help" => stdout.write_all(agent.help().as_bytes())?,
        "models" => list_models(agent, stdout)?,
        "status" if args.format.as_deref() == Some("json") => status(stdout)?,
        "create-chat" => writeln!(stdout, "{}", uuid())?,
        "login" | "logout" => writeln!(
            stdout,
            "This is the replay agent of open-cursor: it has no account to log in to or out of."
        )?,
        _ if args.format.is_some() => return refuse(stderr, "error: unknown option '--format'"),
        _ => return start(agent, args, stdin, stdout, stderr),
    }
    Ok(0)
}

/// The checks before a run, in the CLI's order, and the run.
fn start(
    agent: &impl Repertoire,
    args: Args,
    stdin: &mut dyn Read,
    stdout: &mut dyn Write,
    stderr: &mut dyn Write,
) -> io::Result<u8> {
    if let Some(message) = bad_tools(&args.allowed_tools, agent.allowed_tools(&args.model)) {
        return refuse(stderr, &message);
    }
    let given = args.workspace.as_deref().unwrap_or(Path::new("."));
    let workspace: PathBuf = std::path::absolute(given)?.components().collect();
    if !workspace.is_dir() {
        let shown = workspace.display();
        return refuse(
            stderr,
            &format!("Error: Workspace directory does not exist: {shown}"),
        );
    }
    if args.output_format != "stream-json" {
        let message = "Error: the replay agent prints only --output-format stream-json";
        return refuse(stderr, message);
    }
    if !args.trusted {
        return refuse(stderr, &untrusted(&workspace));
    }
    let models = agent.models();
    if !agent.knows(&args.model) {
        return refuse(stderr, &unknown_model(&args.model, &models));
    }
    let listed = models.into_iter().find(|model| model.id == args.model);
    let label = listed.map_or_else(|| args.model.clone(), |model| model.label);
    agent.play(ReplayRun {
        args,
        workspace,
        label,
        stdin,
        stdout,
        stderr,
    })
}

/// What the CLI says of `--allowed-tools` with names that it does not know.
fn bad_tools(asked: &[String], known: Option<&[&str]>) -> Option<String> {
    if asked.is_empty() {
        return None;
    }
    let Some(known) = known else {
        return Some("error: unknown option '--allowed-tools'".to_owned());
    };
    let unknown = asked.iter().filter(|name| !known.contains(&name.as_str()));
    let unknown: Vec<&str> = unknown.map(String::as_str).collect();
    (!unknown.is_empty()).then(|| {
        format!(
            "Invalid --allowed-tools value(s): {}. Expected one of: {}",
            unknown.join(", "),
            known.join(", ")
        )
    })
}

/// What the CLI says of a workspace that nobody has trusted yet.
#[must_use]
pub fn untrusted(workspace: &Path) -> String {
    format!(
        "\n⚠ Workspace Trust Required\n\n  An agent may run programs and change files in\n\n    {}\n\n  \
         Pass --trust, --yolo, or -f if you trust this directory\n",
        workspace.display()
    )
}

/// What the CLI says of a model that the account does not have.
#[must_use]
pub fn unknown_model(model: &str, available: &[ModelRow]) -> String {
    let ids: Vec<&str> = available.iter().map(|model| model.id.as_str()).collect();
    format!(
        "Cannot use this model: {model}. Available models: {}",
        ids.join(", ")
    )
}

fn refuse(stderr: &mut dyn Write, message: &str) -> io::Result<u8> {
    writeln!(stderr, "{message}")?;
    Ok(1)
}

fn list_models(agent: &impl Repertoire, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "Available models\n")?;
    for ModelRow { id, label } in agent.models() {
        let tag = if id == "auto" { " (default)" } else { "" };
        writeln!(out, "{id} - {label}{tag}")?;
    }
    writeln!(out, "\nTip: choose one with --model <id>.")
}

fn status(out: &mut dyn Write) -> io::Result<()> {
    let status = json!({
        "status": "authenticated", "isAuthenticated": true, "hasAccessToken": true,
        "hasRefreshToken": true,
        "userInfo": {"email": EMAIL, "userId": 0, "firstName": "Replay", "lastName": "Agent"},
    });
    writeln!(out, "{status}")
}
