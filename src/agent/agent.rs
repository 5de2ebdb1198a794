//! The agent as a server uses it, of whichever kind.

use std::{
    ffi::OsStr,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{
    AgentChoice, AgentError, AgentRun, Env, RunRequest, Site,
    bridge::{About, Bridge},
    choose,
    print::{PrintAgent, PrintRun},
};
use crate::{
    mcp,
    sandbox::fence::{Fence, FenceMode, FenceStatus, ResourceLimits},
    turn::CallerKey,
};

/// What an agent needs besides its program.
#[derive(Debug, Clone)]
pub struct Setup {
    /// How much the fence matters.
    pub fence: FenceMode,
    /// What a run may use up.
    pub limits: ResourceLimits,
    /// How many runs there may be at a time.
    pub slots: usize,
    /// Our own executable, which is the fence's launcher too.
    pub launcher: PathBuf,
    /// The directory that most runs will work in, to try the fence on.
    pub workspace: Option<PathBuf>,
    /// A fence that was probed already with the same mode and limits; `None` to probe one.
    pub probed: Option<Fence>,
    /// Whether the client's tools may be served to runs.
    pub serve_tools: Option<Serving>,
    /// Where it is kept which versions of the agent take served tools.
    pub carriers: Option<PathBuf>,
    /// Where Cursor's SDK bridge is, if it is not to be looked for.
    pub bridge: Option<PathBuf>,
}

/// How the client's tools are served to runs.
#[derive(Debug, Clone, Copy)]
pub struct Serving {
    /// How long a call is held, and the like.
    pub limits: mcp::WaitLimits,
    /// How long after its first event an agent may take to ask for the tools. Cursor's CLI connects
    /// within a second where it does.
    pub listed_within: Duration,
    /// Whether the agent reads and searches by its own tools.
    pub native_reads: bool,
}

impl Default for Serving {
    fn default() -> Self {
        Self {
            limits: mcp::WaitLimits::default(),
            listed_within: Duration::from_secs(5),
            native_reads: false,
        }
    }
}

/// A found agent. Clones share everything.
#[derive(Debug, Clone)]
pub struct Agent {
    kind: AgentKind,
}

#[derive(Debug, Clone)]
enum AgentKind {
    Print(Arc<PrintAgent>),
    Bridge(Bridge, FenceStatus),
}

impl Agent {
    /// Finds the agent (see [`choose`]), and the fence that can be had here.
    ///
    /// # Errors
    /// [`AgentError::Missing`]; [`AgentError::Refused`] if there is no place for the slots, or no
    /// fence where it is required.
    pub async fn discover(
        explicit: Option<&OsStr>,
        env: &Env,
        setup: Setup,
    ) -> Result<Self, AgentError> {
        let kind = match choose(explicit, setup.bridge.as_deref(), env).await? {
            AgentChoice::Print(program) => {
                AgentKind::Print(Arc::new(PrintAgent::new(program, env, &setup).await?))
            }
            AgentChoice::Bridge(_) if setup.fence == FenceMode::Require => {
                return Err(refused(
                    "--fence require: the kernel does not fence the bridge, whose agents have no \
                     tools of their own; use --fence auto, or --agent print",
                ));
            }
            AgentChoice::Bridge(bridge) => {
                let sentence = "the agent has no tools of its own: it is offered the client's only";
                AgentKind::Bridge(bridge, FenceStatus::not_needed(setup.fence, sentence))
            }
        };
        Ok(Self { kind })
    }

    /// The kind, as settings name it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match &self.kind {
            AgentKind::Print(agent) if agent.program.is_built_in() => "replay",
            AgentKind::Print(_) => "print",
            AgentKind::Bridge(..) => "bridge",
        }
    }

    /// What of the fence holds.
    #[must_use]
    pub fn fence(&self) -> &FenceStatus {
        match &self.kind {
            AgentKind::Print(agent) => agent.fence.status(),
            AgentKind::Bridge(_, fence) => fence,
        }
    }

    /// Starts a run. `prompt` writes what the agent reads, once it is known where it runs.
    ///
    /// # Errors
    /// [`AgentError`]: no process, no private directories, no fence, or what Cursor says at once.
    pub async fn start(
        &self,
        request: RunRequest,
        prompt: impl FnOnce(&Site) -> String + Send,
    ) -> Result<(AgentRun, Site), AgentError> {
        match &self.kind {
            AgentKind::Print(agent) => {
                let (run, site) = PrintRun::start(Arc::clone(agent), request, prompt).await?;
                Ok((AgentRun::Print(Box::new(run)), site))
            }
            AgentKind::Bridge(bridge, _) => {
                let (run, site) = bridge.start(request, prompt).await?;
                Ok((AgentRun::Bridge(Box::new(run)), site))
            }
        }
    }

    /// Why tools can't be served to runs, as far as is known; `None` if they can.
    #[must_use]
    pub fn serving_problem(&self) -> Option<String> {
        match &self.kind {
            AgentKind::Print(agent) => agent.serving_problem(),
            AgentKind::Bridge(..) => None,
        }
    }

    /// Finds out whether tools can be served to runs, once. Takes up to seconds; until then none are.
    pub async fn learn_serving(&self) {
        if let AgentKind::Print(agent) = &self.kind {
            agent.learn_serving().await;
        }
    }

    /// Makes sure, beside the server, that runs find the user's login. Takes seconds.
    pub async fn verify_login(&self) {
        if let AgentKind::Print(agent) = &self.kind {
            agent.verify_login().await;
        }
    }

    /// Whether there is a login or a key; `None` if that is not known. Takes seconds.
    pub async fn logged_in(&self) -> Option<bool> {
        match &self.kind {
            AgentKind::Print(agent) => agent.logged_in().await,
            // Whether Cursor takes the key, a request will tell.
            AgentKind::Bridge(bridge, _) => bridge.found_key().is_err().then_some(false),
        }
    }

    /// What the program says instead of a version of Cursor's, such as `ls (GNU coreutils) 9.1`: then
    /// it is another program. `None` also if it says nothing.
    pub async fn foreign_version(&self) -> Option<String> {
        match &self.kind {
            AgentKind::Print(agent) => agent.foreign_version().await,
            AgentKind::Bridge(..) => None,
        }
    }

    /// Whether the agent's program is still where it was found.
    pub async fn exists(&self) -> bool {
        tokio::fs::try_exists(self.path()).await.unwrap_or(false)
    }

    /// What is known of the bridge's process, if the agent is one and it runs.
    #[must_use]
    pub fn bridge(&self) -> Option<About> {
        match &self.kind {
            AgentKind::Print(_) => None,
            AgentKind::Bridge(bridge, _) => bridge.running(),
        }
    }

    /// The account's models, as `cursor-agent models` lists them; of this key, if there is one.
    ///
    /// # Errors
    /// What the agent said instead.
    pub async fn models(&self, key: Option<&CallerKey>) -> Result<String, AgentError> {
        match &self.kind {
            AgentKind::Print(agent) => agent.models(key).await,
            AgentKind::Bridge(bridge, _) => bridge.models(key).await,
        }
    }

    /// Waits until every process of every run that was dropped is gone, and its slot clean.
    pub async fn reaped(&self) {
        match &self.kind {
            AgentKind::Print(agent) => agent.reaped().await,
            AgentKind::Bridge(bridge, _) => bridge.close().await,
        }
    }

    fn path(&self) -> &Path {
        match &self.kind {
            AgentKind::Print(agent) => &agent.program.path,
            AgentKind::Bridge(bridge, _) => bridge.program(),
        }
    }
}

pub(super) fn refused(error: impl fmt::Display) -> AgentError {
    AgentError::Refused(error.to_string())
}

impl fmt::Display for Agent {
    /// The program and what comes before its arguments.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            AgentKind::Print(agent) => agent.program.fmt(f),
            AgentKind::Bridge(bridge, _) => bridge.program().display().fmt(f),
        }
    }
}
