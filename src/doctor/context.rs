//! What the checks examine, and answers that several of them need, each asked for once.

use std::{
    ffi::OsStr,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use futures::future::BoxFuture;
use tokio::sync::OnceCell;

use crate::{
    agent::{self, AgentChoice, AgentError, Env, Program, ProgramReply, bridge::Bridge},
    auth::{self, Login},
    http::{self, RunningServer},
    models::{ListedModel, parse},
    opencode::{ConfigError, Inspection, OpencodePlaces, PROVIDER, inspect, locate},
    settings::ServeSettings,
};

/// Sends one chat request through a server started for it: the answer, or why there is none.
pub type ChatProbe = Box<dyn Fn() -> BoxFuture<'static, Result<String, String>> + Send + Sync>;

/// Offers a tool to a model through a server started for it, and answers its call.
pub type ToolProbe = Box<dyn Fn() -> BoxFuture<'static, Result<ProbedLoop, String>> + Send + Sync>;

/// What was seen of a call and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbedLoop {
    /// Whether the model called the tool.
    pub called: bool,
    /// Whether its answer has the result.
    pub answered: bool,
    /// How many runs of the agent that took.
    pub starts: u64,
    /// How long the call took, and then the answer.
    pub call: Duration,
    /// See `call`.
    pub answer: Duration,
}

/// Requests that cost something.
pub struct Probes {
    /// A question.
    pub chat: ChatProbe,
    /// A call of a tool.
    pub tool_loop: ToolProbe,
}

/// The limit of `status`, which can take 15 s (FACTS 3.1).
const LOGIN: Duration = Duration::from_secs(20);

/// What the checks examine.
pub struct Context {
    pub(super) settings: ServeSettings,
    pub(super) env: Env,
    pub(super) program: Result<Program, AgentError>,
    /// Cursor's SDK bridge, if runs use it.
    pub(super) bridge: Option<Bridge>,
    pub(super) now: SystemTime,
    pub(super) probes: Probes,
    /// The file that keeps which versions of the agent take served tools.
    pub(super) carriers: Option<PathBuf>,
    places: OpencodePlaces,
    login: OnceCell<Result<Login, String>>,
    models: OnceCell<Result<Vec<ListedModel>, String>>,
    running: OnceCell<Option<RunningServer>>,
}

impl Context {
    /// Finds the agent. `places` is where OpenCode's configuration may be.
    pub async fn new(
        settings: ServeSettings,
        env: Env,
        places: OpencodePlaces,
        carriers: Option<PathBuf>,
        probes: Probes,
    ) -> Self {
        let explicit = settings.agent.as_deref().map(OsStr::new);
        let (program, bridge) =
            match agent::choose(explicit, settings.bridge.as_deref(), &env).await {
                Ok(AgentChoice::Print(program)) => (Ok(program), None),
                // What else there is to examine is the CLI, if it is installed.
                Ok(AgentChoice::Bridge(bridge)) => {
                    (agent::discover(explicit, &env).await, Some(bridge))
                }
                Err(error) => (Err(error), None),
            };
        Self {
            program,
            bridge,
            settings,
            env,
            now: SystemTime::now(),
            probes,
            carriers,
            places,
            login: OnceCell::new(),
            models: OnceCell::new(),
            running: OnceCell::new(),
        }
    }

    /// Runs a short command of the agent in the environment of a run.
    pub(super) async fn query(
        &self,
        program: &Program,
        args: &[&str],
        seconds: u64,
    ) -> Result<ProgramReply, AgentError> {
        let limit = Duration::from_secs(seconds);
        let env = self.env.for_agent(&[]);
        program.query(args, &env, Path::new("/"), limit).await
    }

    /// The agent's login; `None` without an agent.
    pub(super) async fn login(&self) -> Option<&Result<Login, String>> {
        let program = self.program.as_ref().ok()?;
        let ask = || async {
            let login = auth::ask(program, &self.env.for_agent(&[]), LOGIN).await;
            login.map_err(|error| error.to_string())
        };
        Some(self.login.get_or_init(ask).await)
    }

    /// The agent's models; `None` without an agent.
    pub(super) async fn models(&self) -> Option<&Result<Vec<ListedModel>, String>> {
        let ask = async |program: &Program| {
            let reply = self.query(program, &["models"], 30).await;
            let reply = reply.map_err(|error| error.to_string())?;
            if reply.stdout.trim().is_empty() {
                return Err(reply.error().to_string());
            }
            Ok(reply.stdout)
        };
        let program = self.program.as_ref().ok();
        if program.is_none() && self.bridge.is_none() {
            return None;
        }
        let ask = || async {
            let list = match (&self.bridge, program) {
                (Some(bridge), _) => bridge.models(None).await.map_err(|error| error.to_string()),
                (None, Some(program)) => ask(program).await,
                (None, None) => Err("there is no agent".to_owned()),
            };
            parse(&list?).map_err(|error| error.to_string())
        };
        Some(self.models.get_or_init(ask).await)
    }

    /// Ends the bridge, if a check has started it.
    pub async fn close(&self) {
        if let Some(bridge) = &self.bridge {
            bridge.close().await;
        }
    }

    /// The address of the server, running or not.
    pub(super) fn addr(&self) -> SocketAddr {
        let host = match self.settings.host {
            any if any.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            host => host,
        };
        SocketAddr::new(host, self.settings.port)
    }

    /// The open-cursor that answers at [`Self::addr`].
    pub(super) async fn server(&self) -> Option<&RunningServer> {
        let ask = || http::identify(self.addr());
        self.running.get_or_init(ask).await.as_ref()
    }

    /// Our provider in OpenCode's configuration; `None` where the environment names no home.
    pub(super) fn inspect(&self) -> Option<Result<Inspection, ConfigError>> {
        let config = locate(&self.places, PROVIDER)?;
        Some(inspect(&config, PROVIDER))
    }
}
