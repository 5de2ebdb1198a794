//! What the checks look at, and what several of them ask for.

use std::{
    ffi::{OsStr, OsString},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use futures::future::BoxFuture;
use tokio::sync::OnceCell;

use crate::{
    agent::{self, AgentError, Env, Program, Reply},
    auth::{self, Login},
    http::{self, RunningServer},
    models::{Listed, parse},
    opencode::{ConfigError, Inspection, PROVIDER, Places, inspect, locate},
    settings::ServeSettings,
};

/// A chat of one turn through a server of its own: what the model said, or why it did not.
pub type Chat = Box<dyn Fn() -> BoxFuture<'static, Result<String, String>> + Send + Sync>;

/// What is examined.
pub struct Context {
    pub(super) settings: ServeSettings,
    pub(super) env: Env,
    pub(super) program: Result<Program, AgentError>,
    pub(super) now: SystemTime,
    pub(super) chat: Chat,
    places: Places,
    login: OnceCell<Result<Login, String>>,
    models: OnceCell<Result<Vec<Listed>, String>>,
    sibling: OnceCell<Option<RunningServer>>,
}

impl Context {
    /// Finds the agent. `places` say where OpenCode's configuration is.
    pub async fn new(settings: ServeSettings, env: Env, places: Places, chat: Chat) -> Self {
        let explicit = settings.agent.as_deref().map(OsStr::new);
        Self {
            program: agent::discover(explicit, &env).await,
            settings,
            env,
            now: SystemTime::now(),
            chat,
            places,
            login: OnceCell::new(),
            models: OnceCell::new(),
            sibling: OnceCell::new(),
        }
    }

    /// Asks the agent in its usual environment.
    pub(super) async fn query(
        &self,
        program: &Program,
        args: &[&str],
        seconds: u64,
    ) -> Result<Reply, AgentError> {
        let limit = Duration::from_secs(seconds);
        let env = self.env.for_agent(&[]);
        program.query(args, &env, Path::new("/"), limit).await
    }

    /// What the agent says of its login; asked once. `None` without an agent.
    pub(super) async fn login(&self) -> Option<&Result<Login, String>> {
        let program = self.program.as_ref().ok()?;
        let ask = || async {
            let login = auth::ask(program, &self.env.for_agent(&[])).await;
            login.map_err(|error| error.to_string())
        };
        Some(self.login.get_or_init(ask).await)
    }

    /// The agent's models; asked once. `None` without an agent.
    pub(super) async fn models(&self) -> Option<&Result<Vec<Listed>, String>> {
        let program = self.program.as_ref().ok()?;
        let ask = || async {
            let reply = self.query(program, &["models"], 30).await;
            let reply = reply.map_err(|error| error.to_string())?;
            if reply.stdout.trim().is_empty() {
                return Err(reply.error().to_string());
            }
            parse(&reply.stdout).map_err(|error| error.to_string())
        };
        Some(self.models.get_or_init(ask).await)
    }

    /// Where the server is, or would be.
    pub(super) fn addr(&self) -> SocketAddr {
        let host = match self.settings.host {
            any if any.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            host => host,
        };
        SocketAddr::new(host, self.settings.port)
    }

    /// The open-cursor there, if there is one; asked once.
    pub(super) async fn sibling(&self) -> Option<&RunningServer> {
        let ask = || http::identify(self.addr());
        self.sibling.get_or_init(ask).await.as_ref()
    }

    /// Our provider in OpenCode's configuration; `None` where the environment names no home.
    pub(super) fn inspect(&self) -> Option<Result<Inspection, ConfigError>> {
        let config = locate(&self.places, PROVIDER)?;
        Some(inspect(&config, PROVIDER))
    }

    /// Finds a program on PATH, then in directories below the home.
    pub(super) fn find(&self, name: &str, in_home: &[&str]) -> Option<PathBuf> {
        let home = self.env.get("HOME").map(PathBuf::from);
        let path: OsString = self.env.get("PATH").unwrap_or_default().to_owned();
        let dirs: Vec<PathBuf> = std::env::split_paths(&path).collect();
        let more = in_home
            .iter()
            .filter_map(|dir| Some(home.as_ref()?.join(dir)));
        let mut files = dirs.into_iter().chain(more).map(|dir| dir.join(name));
        files.find(|file| file.is_file())
    }
}
