//! `open-cursor status`.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anstyle::Style;
use serde_json::{Value, json};

use super::{auth::program, dirs::Dirs, manifest::Manifest, render};
use crate::{
    agent::{Env, Program},
    auth::{self, Login},
    http::{self, RunningServer},
    opencode::{self, Inspection, PROVIDER},
    settings::Flags,
};

/// How long it waits for the agent.
const LIMIT: Duration = Duration::from_secs(4);

const NAME: Style = Style::new().bold();

/// Show what runs and what is configured
///
/// Exit code 1 unless a server of this version runs and its agent is logged in. `open-cursor doctor`
/// looks closer.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  open-cursor status
  open-cursor status --json | jq -r .server.url")]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Looks, all at once, and reports.
pub async fn run(args: Args, dirs: &Dirs) -> anyhow::Result<ExitCode> {
    let settings = dirs.settings(&Flags::new())?.settings;
    let addr = SocketAddr::new(settings.host, settings.port);
    let env: Env = std::env::vars_os().collect();
    let (sibling, agent) = tokio::join!(http::identify(addr), agent(dirs, &env));
    let config = opencode::locate(&dirs.opencode, PROVIDER);
    let report = Report {
        addr,
        sibling,
        agent,
        config: config.map(|config| {
            let inspection = opencode::inspect(&config, PROVIDER);
            inspection.map_err(|error| error.to_string())
        }),
        service: dirs
            .state()
            .and_then(|state| Manifest::read(&state).service)
            .map(|file| file.path),
    };
    if args.json {
        render::line(serde_json::to_string_pretty(&report.json())?);
    } else {
        report.print();
    }
    Ok(ExitCode::from(u8::from(!report.is_ready())))
}

struct Agent {
    program: Program,
    version: Option<String>,
    login: Login,
}

/// The agent, its version and its login; an error in words.
async fn agent(dirs: &Dirs, env: &Env) -> Result<Agent, String> {
    let program = program(dirs).await.map_err(|error| error.to_string())?;
    let env = env.for_agent(&[]);
    let (version, login) = tokio::join!(
        program.query(&["--version"], &env, Path::new("/"), LIMIT),
        auth::ask(&program, &env, LIMIT)
    );
    Ok(Agent {
        version: version.ok().and_then(|reply| reply.first_line()),
        login: login.unwrap_or(Login::Unknown),
        program,
    })
}

struct Report {
    addr: SocketAddr,
    sibling: Option<RunningServer>,
    agent: Result<Agent, String>,
    config: Option<Result<Inspection, String>>,
    service: Option<PathBuf>,
}

impl Report {
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
        row("version", env!("CARGO_PKG_VERSION"));
        match &self.sibling {
            Some(it) => row(
                "server",
                format!(
                    "http://{}, {it}, {}, in {}",
                    self.addr,
                    it.status,
                    it.workspace
                        .as_deref()
                        .unwrap_or("each request's own directory")
                ),
            ),
            None => row("server", format!("none on http://{}", self.addr)),
        }
        match &self.agent {
            Ok(agent) => {
                let version = agent.version.as_deref().unwrap_or("of unknown version");
                row("agent", format!("{} {version}", agent.program));
                row(
                    "login",
                    match &agent.login {
                        Login::In(Some(address)) => format!("logged in as {address}"),
                        Login::In(None) => "logged in".to_owned(),
                        Login::Out => "not logged in; run `open-cursor login`".to_owned(),
                        Login::Unknown => "unknown; run `open-cursor auth status`".to_owned(),
                    },
                );
            }
            Err(problem) => row("agent", problem),
        }
        match &self.config {
            Some(Ok(it)) if it.has_provider() => row(
                "opencode",
                format!(
                    "{}: {} models, {}",
                    it.config.display(),
                    it.models(),
                    it.base_url().unwrap_or("no baseURL")
                ),
            ),
            Some(Ok(it)) => row("opencode", format!("{}: no provider", it.config.display())),
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
