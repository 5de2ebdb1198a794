//! The engine: answers a [`Turn`] by a run of the agent.
//!
//! ```text
//! Turn ─> prompt ─> agent run ═ AgentEvent ═> boundary ═ TurnEvent ═> TurnStream
//! ```
//!
//! Three things live for different times:
//!
//! | | lives as long as | owner |
//! |---|---|---|
//! | `Answer` (`answering.rs`, `answer.rs`) | one request of the client | the task that [`Engine::start`] spawns; it ends when the [`TurnStream`] is dropped |
//! | `Run` (`run.rs`) | one prompt that the agent works on | the answer that borrows it; between two answers, a task of `runs.rs` |
//! | the child, its directories and its fence | its run, or longer | [`AgentRun`](crate::agent::AgentRun): the engine never sees it |
//!
//! An answer ends at the agent's result, at calls of the client's tools, at a budget, at the agent's
//! exit, at shutdown, or when the client hangs up. A run that can wait for the results of calls is
//! parked then; any other is ended with its answer. The engine knows no HTTP and no dialect.

mod admission;
mod answer;
mod answering;
mod attachments;
mod budget;
mod callers;
mod continuation;
mod failure;
mod feed;
mod hands;
mod losses;
mod output;
mod posted;
mod progress;
mod replays;
mod run;
mod runs;
mod shared;
mod source;
mod start;
mod stream;
mod turns;
mod usage;
mod workspace;

pub use admission::AdmissionLimits;
pub use budget::Budgets;
pub use callers::Credentials;
pub use failure::{turn_error, unknown_model};
pub use hands::{Exec, ExecTools, ToolLoop};
pub use posted::PostedAnswer;
pub use progress::{Phase, RunOrigin, TurnProgress};
pub use runs::ParkedRun;
pub use stream::TurnStream;
pub use turns::Turns;
pub use usage::EstimateUsage;
pub use workspace::Workspaces;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures::FutureExt as _;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument as _;

use crate::{
    agent::Agent,
    boundary,
    dump::Dump,
    hands::{OwnTool, Toolbox},
    models::{Listing, ModelCatalog, ModelRequest, UnknownModel},
    turn::{CallerKey, Turn},
};
use admission::Admission;
use callers::Callers;
use hands::Rounds;
use runs::Runs;
use shared::{Counters, Shared};
use usage::Estimates;

/// Turns prompts into answers with one agent program.
pub struct Engine {
    shared: Arc<Shared>,
}

/// How turns are run.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Where the agent works.
    pub workspaces: Workspaces,
    /// How many turns run and wait at one time.
    pub limits: AdmissionLimits,
    /// How long the agent may be silent.
    pub budgets: Budgets,
    /// Which runs get an estimate of their cost.
    pub estimate_usage: EstimateUsage,
    /// Whether runs wait for the results of the client's tools.
    pub turns: Turns,
    /// How long one waits.
    pub park_timeout: Duration,
    /// How tool calls are translated.
    pub boundary: boundary::BoundaryOptions,
    /// Whether the client's tools are called at all; else the agent has only its own.
    pub client_tools: bool,
    /// How many turns of one caller run and wait at one time, where callers bring keys of their own.
    pub callers: Option<AdmissionLimits>,
    /// The server's own tools, if it executes any.
    pub exec: Option<Exec>,
}

impl Engine {
    /// An engine that runs `agent`. `cache_file` keeps the agent's list of models for times when it
    /// can't be asked.
    #[must_use]
    pub fn new(agent: Agent, config: EngineConfig, cache_file: Option<PathBuf>) -> Self {
        let list = agent.clone();
        let list = move || {
            let agent = list.clone();
            async move { agent.models(None).await }
        };
        Self {
            shared: Arc::new(Shared {
                callers: config
                    .callers
                    .map(|limits| Callers::new(agent.clone(), limits)),
                agent,
                models: ModelCatalog::new(list, cache_file),
                admission: Admission::new(config.limits),
                estimates: Estimates::new(config.estimate_usage),
                runs: Arc::new(Runs::new(config.park_timeout)),
                rounds: Rounds::default(),
                config,
                counters: Counters::default(),
                stop: CancellationToken::new(),
                turns: TaskTracker::new(),
            }),
        }
    }

    /// Starts a turn, or queues it if too many are running. Dropping the stream cancels it. The
    /// prompt and the agent's output go to the dump as well, and log lines to the caller's span.
    #[must_use]
    pub fn start(&self, turn: Turn, dump: Option<Dump>) -> TurnStream {
        let (sender, stream) = TurnStream::channel();
        let shared = Arc::clone(&self.shared);
        let turn = answering::answer(shared, turn, dump, sender);
        let mut turn = Box::pin(turn.in_current_span());
        // Up to its first wait it is done here, where it begins at once. A panic ends it as it ends a task.
        let begun = catch_unwind(AssertUnwindSafe(|| turn.as_mut().now_or_never()));
        if matches!(begun, Ok(None)) {
            self.shared.turns.spawn(turn);
        }
        stream
    }

    /// The agent that is run.
    #[must_use]
    pub fn agent(&self) -> &Agent {
        &self.shared.agent
    }

    /// The directory of requests that name none, if there is one for all.
    #[must_use]
    pub fn workspace(&self) -> Option<&Path> {
        self.shared.config.workspaces.fixed.as_deref()
    }

    /// Whether runs wait for the results of the client's tools.
    #[must_use]
    pub fn turns(&self) -> Turns {
        self.shared.config.turns
    }

    /// How runs wait: `bridge`, `mcp` (the client's tools are served), `view` (changes are collected),
    /// or `none`.
    #[must_use]
    pub fn carrier(&self) -> &'static str {
        let (agent, turns) = (self.agent(), self.turns());
        match turns.serves_tools() && agent.serving_problem().is_none() {
            true if agent.kind() == "bridge" => "bridge",
            true => "mcp",
            false if self.shared.collects_changes() => "view",
            false => "none",
        }
    }

    /// How many turns are running.
    #[must_use]
    pub fn running(&self) -> usize {
        self.shared.admission.running()
    }

    /// How many turns wait for others to end.
    #[must_use]
    pub fn queued(&self) -> usize {
        let callers = self.shared.callers.as_ref();
        self.shared.admission.queued() + callers.map_or(0, Callers::queued)
    }

    /// How many runs wait for the results of a client's tools.
    #[must_use]
    pub fn parked(&self) -> usize {
        self.shared.runs.parked()
    }

    /// The runs that wait for the results of a client's tools, the longest waiting first.
    #[must_use]
    pub fn parked_runs(&self) -> Vec<ParkedRun> {
        self.shared.runs.waiting()
    }

    /// How many runs of the agent were started.
    #[must_use]
    pub fn starts(&self) -> u64 {
        self.shared.counters.starts.load(Ordering::Relaxed)
    }

    /// How many answers were ended over calls that go in a circle or can't be made valid.
    #[must_use]
    pub fn guard_stops(&self) -> u64 {
        self.shared.counters.guard_stops.load(Ordering::Relaxed)
    }

    /// How often an agent that is served the client's tools changed something by its own tools.
    #[must_use]
    pub fn breaches(&self) -> u64 {
        self.shared.counters.breaches.load(Ordering::Relaxed)
    }

    /// How many changes of files could not be passed on to a client since the start.
    #[must_use]
    pub fn lost_changes(&self) -> u64 {
        self.shared.counters.lost_changes.load(Ordering::Relaxed)
    }

    /// How many tool calls were found in answer text since the start: a model that writes many
    /// out is one that Cursor's own tools don't serve.
    #[must_use]
    pub fn recovered(&self) -> u64 {
        self.shared.counters.recovered.load(Ordering::Relaxed)
    }

    /// The tools that the server executes, and whether a request has to allow them.
    pub async fn server_tools(&self) -> Vec<(OwnTool, bool)> {
        let Some(exec) = &self.shared.config.exec else {
            return Vec::new();
        };
        let tools = exec.toolbox.tools(true).await.into_iter();
        let tools = tools.map(|tool| {
            let needs_confirmation = hands::needs_confirmation(exec, &tool);
            (tool, needs_confirmation)
        });
        tools.collect()
    }

    /// What executes tools, if the server does.
    #[must_use]
    pub fn toolbox(&self) -> Option<&Toolbox> {
        self.shared.config.exec.as_ref().map(|exec| &exec.toolbox)
    }

    /// The models that the agent offers by its own login.
    #[must_use]
    pub fn models(&self) -> &ModelCatalog {
        &self.shared.models
    }

    /// The models that the agent offers to the caller with this key.
    pub async fn models_of(&self, key: Option<&CallerKey>) -> Arc<Listing> {
        match self.shared.caller(key) {
            Some(caller) => caller.models.list().await,
            None => self.shared.models.list().await,
        }
    }

    /// The id of a model, as the agent names it to the caller with this key.
    ///
    /// # Errors
    /// When the account has no such model.
    pub async fn resolve(
        &self,
        key: Option<&CallerKey>,
        request: ModelRequest<'_>,
    ) -> Result<String, UnknownModel> {
        self.shared.resolve(key, request).await
    }

    /// Whether each caller brings a key of its own, and the agent needs no login.
    #[must_use]
    pub fn has_callers(&self) -> bool {
        self.shared.callers.is_some()
    }

    /// Waits until no turn is running and no process of one is left.
    pub async fn idle(&self) {
        self.shared.turns.close();
        self.shared.turns.wait().await;
        self.shared.runs.end_all();
        self.shared.runs.idle().await;
        self.shared.agent.reaped().await;
        if let Some(exec) = &self.shared.config.exec {
            exec.toolbox.close().await;
        }
    }

    /// From now on no turn begins: new ones and those that wait fail.
    pub fn drain(&self) {
        self.shared.admission.close();
        if let Some(callers) = &self.shared.callers {
            callers.close();
        }
        // Their clients will find another server, or this one started anew.
        self.shared.runs.end_all();
    }

    /// Whether [`drain`](Self::drain) was called.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.shared.admission.is_closed()
    }

    /// Ends all running turns with an error event.
    pub fn stop(&self) {
        self.shared.stop.cancel();
    }
}
