//! Cursor's CLI as an agent: which program, in which environment, behind which fence.

use std::{
    ffi::{OsStr, OsString},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::{
    agent::{
        AgentError, Env, Login, Program, Serving, Session, Setup, agent::refused, ask_login,
        carrier::Carrier, env::with_key,
    },
    mcp::Endpoint,
    sandbox::{
        fence::{Fence, FenceConfig},
        slot::{Places, Slots},
    },
    turn::CallerKey,
};

/// How long the CLI may take to say whether it is logged in: up to 15 s were seen (FACTS 3.1).
const STATUS: Duration = Duration::from_secs(20);

/// How long the CLI may take to print its version.
const VERSION: Duration = Duration::from_secs(5);

/// How long it may take to list the models.
const LIST: Duration = Duration::from_secs(30);

/// How long a server that ends waits until what agents left is removed.
const CLEAN_UP: Duration = Duration::from_secs(5);

/// A found program.
#[derive(Debug)]
pub(in crate::agent) struct PrintAgent {
    pub program: Program,
    /// The environment of a run. `CURSOR_CONFIG_DIR` is the slot's, unless logins need the user's.
    pub(super) env: Vec<(OsString, OsString)>,
    pub fence: Fence,
    pub(super) slots: Slots,
    /// Where tools are served to runs.
    pub(super) endpoint: Option<Endpoint>,
    /// How tools are served to runs, where they are.
    pub(super) serving: Serving,
    /// What is known of the program in this respect.
    pub(super) carrier: Carrier,
    /// Whether the login was found not to survive a configuration directory of our own.
    pub(super) shares_config: AtomicBool,
    /// Whether it was said that runs do not use the login.
    said_key: AtomicBool,
    pub(super) reaper: TaskTracker,
}

impl PrintAgent {
    /// Takes the program, and the fence that can be had here.
    ///
    /// # Errors
    /// [`AgentError::Refused`] if there is no place for the slots, or no fence where it is required.
    pub async fn new(program: Program, env: &Env, setup: &Setup) -> Result<Self, AgentError> {
        let get = |name: &str| env.get(name).map(OsStr::to_owned);
        let mut places = Places::from_env(get, &std::env::temp_dir());
        if program.is_built_in() {
            // It keeps nothing of Cursor's.
            places = places.without_cursor();
        }
        let config = FenceConfig {
            mode: setup.fence,
            launcher: setup.launcher.clone(),
            limits: setup.limits,
        };
        let workspace = setup.workspace.as_deref();
        let started = match &setup.probed {
            Some(probed) => probed.elsewhere(&places, setup.slots).await,
            None => Fence::start(&config, &places, setup.slots, workspace).await,
        };
        let (fence, slots) = started.map_err(refused)?;
        let endpoint = match setup.serve_tools {
            Some(Serving { limits, .. }) => Some(Endpoint::bind(limits).await.map_err(refused)?),
            None => None,
        };
        Ok(Self {
            endpoint,
            serving: setup.serve_tools.unwrap_or_default(),
            carrier: Carrier::open(setup.carriers.clone(), &program.path),
            program,
            env: env.for_agent(&[]),
            fence,
            slots,
            shares_config: AtomicBool::new(false),
            said_key: AtomicBool::new(false),
            reaper: TaskTracker::new(),
        })
    }

    /// Why tools can't be served to runs, as far as is known; `None` if they can.
    pub fn serving_problem(&self) -> Option<String> {
        match &self.endpoint {
            Some(_) => self.carrier.refusal(),
            None => Some("it is turned off".to_owned()),
        }
    }

    /// Asks the program whether it can load a server of tools.
    pub(in crate::agent) async fn learn_serving(&self) {
        if self.endpoint.is_some() {
            let help = async {
                let program = &self.program;
                let reply = program.query(&["--help"], &self.env, Path::new("/"), STATUS);
                reply.await.map(|reply| reply.stdout).unwrap_or_default()
            };
            self.carrier.read_help(help).await;
        }
    }

    /// The environment of a run with this key, if there is one, and no other.
    pub(super) fn env_for(&self, key: Option<&CallerKey>) -> Vec<(OsString, OsString)> {
        let mut env = self.env.clone();
        if let Some(key) = key {
            with_key(&mut env, key);
        }
        env
    }

    /// Says once that runs don't use the login: a key moves them to metered billing without a word.
    pub(super) fn note_credential(&self, session: &Session) {
        let source = session.api_key_source.as_deref().unwrap_or("login");
        if source != "login" && !self.said_key.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                source,
                "runs use an API key or token, not Cursor's login: it can bill per use instead of \
                 your subscription; unset CURSOR_API_KEY to use the login"
            );
        }
    }

    /// Checks once that a login survives a configuration directory of our own, and shares the
    /// user's if it does not: an agent that can't log in is worth less than a private default
    /// model. Takes seconds, so it is to be run beside the server.
    pub async fn verify_login(&self) {
        let Ok(config) = tempfile::tempdir() else {
            return;
        };
        let mut private = self.env.clone();
        private.retain(|(name, _)| name != "CURSOR_CONFIG_DIR");
        private.push(("CURSOR_CONFIG_DIR".into(), config.path().into()));
        let ask = |env| ask_login(&self.program, env, STATUS);
        if matches!(ask(&private).await, Ok(Login::Out))
            && matches!(ask(&self.env).await, Ok(Login::In(_)))
        {
            self.shares_config.store(true, Ordering::Relaxed);
            tracing::warn!(
                "the login does not survive a private CURSOR_CONFIG_DIR: runs share your Cursor \
                 configuration, so they change its default model, and deny rules do not hold"
            );
        }
    }

    /// Whether the agent says that it is logged in; `None` if it does not say. Takes seconds.
    pub async fn logged_in(&self) -> Option<bool> {
        // What it says of the login is not known to cover a key or a token.
        let has_key = |(name, value): &(OsString, OsString)| {
            (name == "CURSOR_API_KEY" || name == "CURSOR_AUTH_TOKEN") && !value.is_empty()
        };
        let login = ask_login(&self.program, &self.env, STATUS).await.ok()?;
        match login {
            Login::In(_) => Some(true),
            Login::Out if !self.env.iter().any(has_key) => Some(false),
            Login::Out | Login::Unknown => None,
        }
    }

    /// What the program says instead of a version of Cursor's, such as `ls (GNU coreutils) 9.1`: then
    /// it is another program. `None` also if it says nothing.
    pub async fn foreign_version(&self) -> Option<String> {
        let program = &self.program;
        let reply = program.query(&["--version"], &self.env, Path::new("/"), VERSION);
        let line = reply.await.ok()?.first_line()?;
        // Cursor's are dates (FACTS 1.1).
        (!line.starts_with(|c: char| c.is_ascii_digit())).then_some(line)
    }

    /// The output of `cursor-agent models`.
    ///
    /// # Errors
    /// What the agent said instead.
    pub async fn models(&self, key: Option<&CallerKey>) -> Result<String, AgentError> {
        self.program.models(&self.env_for(key), LIST).await
    }

    /// Waits until every process of every run that was dropped is gone, and for a while until its slot is
    /// clean: an agent may have left so much that it is left to the next start.
    pub async fn reaped(&self) {
        self.reaper.close();
        self.reaper.wait().await;
        self.fence.close().await;
        if timeout(CLEAN_UP, self.slots.drained()).await.is_err() {
            tracing::warn!("what agents left is not removed yet; the next start will");
        }
    }
}
