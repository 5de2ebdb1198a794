//! `open-cursor status`.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    agent_flag::AgentFlag,
    auth::program,
    dirs::UserDirs,
    manifest::Manifest,
    process_env,
    render::{self, NAME},
};
use crate::{
    agent::{AgentError, Env, Program},
    auth::{self, Login},
    http::{self, RunningServer},
    opencode::{self, Inspection, PROVIDER},
};

/// How long it waits for the agent, and for each of its answers.
const LIMIT: Duration = Duration::from_secs(4);
const QUERY: Duration = Duration::from_millis(3500);

/// Show whether the server runs, the agent's login and OpenCode's configuration
///
/// Exit code 1 unless a server of this version runs and its agent is logged in. `open-cursor doctor`
/// checks more.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  open-cursor status
  open-cursor status --json | jq -r .server.url")]
pub struct StatusArgs {
    #[command(flatten)]
    agent: AgentFlag,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Checks everything concurrently, and reports.
pub async fn run(args: StatusArgs, dirs: &UserDirs) -> anyhow::Result<ExitCode> {
    let settings = dirs.settings(&args.agent.flags())?.settings;
    let addr = SocketAddr::new(settings.host, settings.port);
    let env = process_env();
    let waiting = render::progress("asking the agent");
    let agent = async {
        let asked = tokio::time::timeout(LIMIT, agent(&args.agent, dirs, &env)).await;
        asked.unwrap_or_else(|_| Err(format!("no answer within {} s", LIMIT.as_secs())))
    };
    let (sibling, agent) = tokio::join!(http::identify(addr), agent);
    drop(waiting);
    let config = opencode::locate(&dirs.opencode, PROVIDER);
    let report = StatusReport {
        addr,
        sibling,
        agent,
        config: config.map(|config| {
            let inspection = opencode::inspect(&config, PROVIDER);
            inspection.map_err(|error| error.to_string())
        }),
        service: dirs
            .state
            .as_deref()
            .and_then(|state| Manifest::read(state).service)
            .map(|file| file.path),
    };
    if args.json {
        render::json(&report.json())?;
    } else {
        report.print();
    }
    Ok(ExitCode::from(u8::from(!report.is_ready())))
}

struct AgentStatus {
    program: Program,
    version: Option<String>,
    login: Login,
}

/// The agent, its version and its login; or why there is none.
async fn agent(flag: &AgentFlag, dirs: &UserDirs, env: &Env) -> Result<AgentStatus, String> {
    let program = program(flag, dirs)
        .await
        .map_err(|error| error.to_string())?;
    let env = env.for_agent(&[]);
    let (version, login) = tokio::join!(
        program.query(&["--version"], &env, Path::new("/"), QUERY),
        auth::ask(&program, &env, QUERY)
    );
    if let Err(error @ AgentError::Spawn { .. }) = version {
        return Err(error.to_string());
    }
    Ok(AgentStatus {
        version: version.ok().and_then(|reply| reply.first_line()),
        login: login.unwrap_or(Login::Unknown),
        program,
    })
}

struct StatusReport {
    addr: SocketAddr,
    sibling: Option<RunningServer>,
    agent: Result<AgentStatus, String>,
    config: Option<Result<Inspection, String>>,
    service: Option<PathBuf>,
}

impl StatusReport {
    fn is_ready(&self) -> bool {
        let ours = |sibling: &RunningServer| sibling.version == env!("CARGO_PKG_VERSION");
        self.sibling.as_ref().is_some_and(ours)
            && matches!(&self.agent, Ok(agent) if matches!(agent.login, Login::In(_)))
    }

    fn json(&self) -> Value {
        let url = format!("http://{}", self.addr);
        let server = match &self.sibling {
            Some(it) => json!({
                "running": true, "url": url, "version": it.version, "pid": it.pid,
                "status": it.status, "workspace": it.workspace, "agent": it.agent,
            }),
            None => json!({"running": false, "url": url}),
        };
        let agent = match &self.agent {
            Ok(agent) => json!({
                "program": agent.program.to_string(),
                "version": agent.version,
                "loggedIn": match agent.login {
                    Login::In(_) => Some(true),
                    Login::Out => Some(false),
                    Login::Unknown => None,
                },
            }),
            Err(problem) => json!({"problem": problem}),
        };
        let config = match &self.config {
            Some(Ok(it)) => json!({
                "path": it.config, "exists": it.exists, "provider": it.has_provider(),
                "baseURL": it.base_url(), "models": it.models(),
            }),
            Some(Err(problem)) => json!({"problem": problem}),
            None => Value::Null,
        };
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "ready": self.is_ready(),
            "server": server,
            "agent": agent,
            "config": config,
            "service": self.service,
        })
    }

    fn print(&self) {
        let url = format!("http://{}", self.addr);
        row("version", env!("CARGO_PKG_VERSION"));
        let server = self.sibling.as_ref().map(|it| {
            let usual = "the directory that each request names";
            let workspace = it.workspace.as_deref().unwrap_or(usual);
            format!("{url}, {it}, {}, in {workspace}", it.status)
        });
        row("server", server.unwrap_or_else(|| format!("none on {url}")));
        match &self.agent {
            Ok(agent) => {
                let version = agent.version.as_deref().unwrap_or("(unknown version)");
                row("agent", format!("{} {version}", agent.program));
                let login = match &agent.login {
                    Login::In(Some(address)) => format!("logged in as {address}"),
                    Login::In(None) => "logged in".to_owned(),
                    Login::Out => "not logged in; run `open-cursor login`".to_owned(),
                    Login::Unknown => "unknown; run `open-cursor auth status`".to_owned(),
                };
                row("login", login);
            }
            Err(problem) => row("agent", problem),
        }
        match &self.config {
            Some(Ok(it)) => {
                let what = match it.has_provider() {
                    true => {
                        let url = it.base_url().unwrap_or("no baseURL");
                        format!("{} models, {url}", it.models())
                    }
                    false => "provider not configured".to_owned(),
                };
                row("opencode", format!("{}: {what}", it.config.display()));
            }
            Some(Err(problem)) => row("opencode", problem),
            None => {}
        }
        if let Some(path) = &self.service {
            row("service", path.display());
        }
    }
}

fn row(name: &str, value: impl std::fmt::Display) {
    render::line(format_args!("{NAME}{name:8}{NAME:#}  {value}"));
}
