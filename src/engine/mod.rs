//! The engine: answers one [`Turn`] by one run of the agent.
//!
//! ```text
//! Turn ─> prompt ─> agent run ═ AgentEvent ═> boundary ═ TurnEvent ═> TurnStream
//! ```
//!
//! A turn is one task. It ends at the agent's result, at an intercepted tool call, at a budget, at
//! the agent's exit, at shutdown, or when the [`TurnStream`] is dropped; in every case the agent's
//! process group is ended. The engine knows no HTTP and no dialect.

mod admission;
mod attachments;
mod budget;
mod chat;
mod failure;
mod output;
mod relay;
mod run_turn;
mod sessions;
mod stream;
mod usage;
mod workspace;

pub use admission::Limits;
pub use budget::Budgets;
pub use failure::{turn_error, unknown_model};
pub use stream::TurnStream;
pub use usage::EstimateUsage;
pub use workspace::Workspaces;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument as _;

use crate::{agent::Agent, boundary, dump::Dump, models::Catalog, turn::Turn};
use admission::Admission;
use sessions::Sessions;
use usage::Estimates;

/// Turns prompts into answers with one agent program.
pub struct Engine {
    shared: Arc<Shared>,
}

/// What every turn needs.
struct Shared {
    agent: Agent,
    models: Catalog,
    config: Config,
    admission: Admission,
    estimates: Estimates,
    sessions: Arc<Sessions>,
    /// How many calls were found in answer text, since the start.
    recovered: AtomicU64,
    /// Cancelled when running turns must end.
    stop: CancellationToken,
    turns: TaskTracker,
}

/// How turns are run.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the agent works.
    pub workspaces: Workspaces,
    /// How many turns run and wait at one time.
    pub limits: Limits,
    /// How long the agent may be silent.
    pub budgets: Budgets,
    /// Which runs get an estimate of their cost.
    pub estimate_usage: EstimateUsage,
    /// Whether Cursor's own chats are gone on with where it is safe.
    pub resume: bool,
    /// How tool calls are translated.
    pub boundary: boundary::Options,
    /// Whether the client's tools are called at all; else the agent has only its own.
    pub client_tools: bool,
}

impl Engine {
    /// An engine that runs `agent`. `cache_file` keeps the agent's list of models for times when it
    /// can't be asked.
    #[must_use]
    pub fn new(agent: Agent, config: Config, cache_file: Option<PathBuf>) -> Self {
        let list = agent.clone();
        let list = move || {
            let agent = list.clone();
            async move { agent.models().await }
        };
        Self {
            shared: Arc::new(Shared {
                agent,
                models: Catalog::new(list, cache_file),
                admission: Admission::new(config.limits),
                estimates: Estimates::new(config.estimate_usage),
                sessions: Arc::new(Sessions::new(config.resume)),
                config,
                recovered: AtomicU64::new(0),
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
        let turn = run_turn::run_turn(shared, turn, dump, sender);
        self.shared.turns.spawn(turn.in_current_span());
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

    /// How many turns are running.
    #[must_use]
    pub fn running(&self) -> usize {
        self.shared.admission.running()
    }

    /// How many turns wait for others to end.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.shared.admission.queued()
    }

    /// How many tool calls were found in answer text since the start: a model that writes many
    /// out is one that Cursor's own tools don't serve.
    #[must_use]
    pub fn recovered(&self) -> u64 {
        self.shared.recovered.load(Ordering::Relaxed)
    }

    /// The models that the agent offers.
    #[must_use]
    pub fn models(&self) -> &Catalog {
        &self.shared.models
    }

    /// Waits until no turn is running and no process of one is left.
    pub async fn idle(&self) {
        self.shared.turns.close();
        self.shared.turns.wait().await;
        self.shared.agent.reaped().await;
    }

    /// From now on no turn begins: new ones and those that wait fail.
    pub fn drain(&self) {
        self.shared.admission.close();
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
