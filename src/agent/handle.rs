//! The agent as a server uses it: which program, in which environment, and what is left to reap.

use std::{
    ffi::{OsStr, OsString},
    fmt,
    path::Path,
    sync::Arc,
    time::Duration,
};

use tokio_util::task::TaskTracker;

use super::{AgentError, AgentRun, Env, Program, RunRequest, discover};

/// How long the list of models may take.
const LIST: Duration = Duration::from_secs(30);

/// A found agent. Clones share what is left to reap.
#[derive(Debug, Clone)]
pub struct Agent {
    program: Program,
    env: Arc<[(OsString, OsString)]>,
    reaper: TaskTracker,
}

impl Agent {
    /// Finds the agent (see [`discover`]) and fixes its environment.
    ///
    /// # Errors
    /// [`AgentError::Missing`].
    pub async fn discover(explicit: Option<&OsStr>, env: &Env) -> Result<Self, AgentError> {
        Ok(Self {
            program: discover(explicit, env).await?,
            env: env.for_agent(&[]).into(),
            reaper: TaskTracker::new(),
        })
    }

    /// Starts a run.
    ///
    /// # Errors
    /// [`AgentError::Spawn`].
    pub fn start(&self, request: RunRequest) -> Result<AgentRun, AgentError> {
        let spec = self.program.run_spec(&request, self.env.to_vec());
        AgentRun::start(&spec, request.prompt, &self.reaper)
    }

    /// The output of `cursor-agent models`.
    ///
    /// # Errors
    /// What the agent said instead.
    pub async fn models(&self) -> Result<String, AgentError> {
        let reply = self
            .program
            .query(&["models"], &self.env, Path::new("/"), LIST)
            .await?;
        if reply.stdout.trim().is_empty() {
            return Err(reply.error());
        }
        Ok(reply.stdout)
    }

    /// Waits until every process of every run that was dropped is gone.
    pub async fn reaped(&self) {
        self.reaper.close();
        self.reaper.wait().await;
    }
}

impl fmt::Display for Agent {
    /// The program and what comes before its arguments.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.program.path.display())?;
        for arg in &self.program.leading_args {
            write!(f, " {}", arg.display())?;
        }
        Ok(())
    }
}
