//! What the checks examine, and answers that several of them need, each asked for once.

use std::{
    ffi::OsStr,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use futures::future::BoxFuture;
use tokio::sync::OnceCell;

use super::CheckResult;
use crate::{
    agent::{self, AgentChoice, AgentError, Env, Program, ProgramReply, bridge::Bridge},
    auth::{self, Login},
    http::{self, RunningServer},
    models::{ListedModel, parse},
    opencode::{ConfigError, Inspection, OpencodePlaces, PROVIDER, inspect, locate},
    settings::ServeSettings,
};

/// Sends requests through a server started for them: what came of it, or why nothing did.
pub type DoctorProbe<T> = Box<dyn Fn() -> BoxFuture<'static, Result<T, String>> + Send + Sync>;

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
    /// A question, and its answer.
    pub chat: DoctorProbe<String>,
    /// Offers a tool to a model, and answers its call.
    pub tool_loop: DoctorProbe<ProbedLoop>,
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

    /// The agent's program.
    pub(super) fn program(&self) -> Result<&Program, CheckResult> {
        self.program.as_ref().map_err(|_| no_agent())
    }

    /// Ends a check that makes no sense without an agent.
    pub(super) fn needs_agent(&self) -> Result<(), CheckResult> {
        match (&self.program, &self.bridge) {
            (Err(_), None) => Err(no_agent()),
            _ => Ok(()),
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

    /// The agent's login.
    pub(super) async fn login(&self) -> Result<&Result<Login, String>, CheckResult> {
        let program = self.program()?;
        let ask = || async {
            let login = auth::ask(program, &self.env.for_agent(&[]), LOGIN).await;
            login.map_err(|error| error.to_string())
        };
        Ok(self.login.get_or_init(ask).await)
    }

    /// The agent's models.
    pub(super) async fn models(&self) -> Result<&Result<Vec<ListedModel>, String>, CheckResult> {
        self.needs_agent()?;
        let ask = || async {
            let list = self.list().await.map_err(|error| error.to_string())?;
            parse(&list).map_err(|error| error.to_string())
        };
        Ok(self.models.get_or_init(ask).await)
    }

    async fn list(&self) -> Result<String, AgentError> {
        let program = match (&self.bridge, &self.program) {
            (Some(bridge), _) => return bridge.models(None).await,
            (None, program) => program.as_ref().map_err(AgentError::clone)?,
        };
        let reply = self.query(program, &["models"], 30).await?;
        match reply.stdout.trim() {
            "" => Err(reply.error()),
            _ => Ok(reply.stdout),
        }
    }

    /// Ends the bridge, if a check has started it.
    pub async fn close(&self) {
        if let Some(bridge) = &self.bridge {
            bridge.close().await;
        }
    }

    /// The address of the server, running or not.
    pub(super) fn addr(&self) -> SocketAddr {
        self.settings.address()
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

    /// The same for checks of what is in it.
    pub(super) fn inspected(&self) -> Result<Inspection, CheckResult> {
        let found = self.inspect().and_then(Result::ok);
        let unread = || CheckResult::info("not checked: OpenCode's configuration cannot be read");
        found.ok_or_else(unread)
    }

    /// The same for checks of the models in it.
    pub(super) fn inspected_models(&self) -> Result<Inspection, CheckResult> {
        let inspection = self.inspected()?;
        match inspection.models() {
            0 => Err(CheckResult::info(
                "not checked: OpenCode has no models of ours",
            )),
            _ => Ok(inspection),
        }
    }
}

fn no_agent() -> CheckResult {
    CheckResult::info("not checked: there is no agent")
}
