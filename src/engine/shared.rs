//! What every turn needs: the agent, its models, the limits, and what is counted.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    EngineConfig,
    admission::{Admission, Permit},
    callers::{Caller, Callers},
    failure::shutting_down,
    hands::Rounds,
    runs::Runs,
    usage::Estimates,
};
use crate::{
    agent::Agent,
    models::{ModelCatalog, ModelRequest, UnknownModel},
    turn::{CallerKey, Turn, TurnError},
};

/// How long the first turn waits until it is known whether the agent takes the client's tools.
const ASKED: Duration = Duration::from_secs(3);

/// What every turn needs.
pub(super) struct Shared {
    pub agent: Agent,
    pub models: ModelCatalog,
    pub config: EngineConfig,
    pub admission: Admission,
    /// Where callers bring keys of their own.
    pub callers: Option<Callers>,
    pub estimates: Estimates,
    pub runs: Arc<Runs>,
    pub rounds: Rounds,
    pub counters: Counters,
    /// Cancelled when running turns must end.
    pub stop: CancellationToken,
    pub turns: TaskTracker,
}

/// What is counted since the start.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Runs of the agent that were started.
    pub starts: AtomicU64,
    /// Answers that a guard ended.
    pub guard_stops: AtomicU64,
    /// Calls that were found in answer text.
    pub recovered: AtomicU64,
    /// How often an agent that is served the client's tools changed something by its own.
    pub breaches: AtomicU64,
    /// Changes of an agent that no call could carry to its client.
    pub lost_changes: AtomicU64,
}

impl Shared {
    /// Who has the key, where callers bring their own.
    pub fn caller(&self, key: Option<&CallerKey>) -> Option<Arc<Caller>> {
        Some(self.callers.as_ref()?.of(key?))
    }

    /// The id of a model in the list of the caller with this key, else in the agent's own.
    pub async fn resolve(
        &self,
        key: Option<&CallerKey>,
        request: ModelRequest<'_>,
    ) -> Result<String, UnknownModel> {
        match self.caller(key) {
            Some(caller) => caller.models.resolve(request).await,
            None => self.models.resolve(request).await,
        }
    }

    /// Waits for the right to run: first among the caller's own turns, so that none of them takes a
    /// place of others' before its time, then among all.
    pub async fn admit(&self, caller: Option<&Arc<Caller>>) -> Result<Permit, TurnError> {
        let Some(caller) = caller else {
            return self.admission.admit().await;
        };
        if self.admission.is_closed() {
            return Err(shutting_down());
        }
        let right = caller.admission.admit().await?;
        let permit = self.admission.admit().await?;
        Ok(permit.of_caller(right, Arc::clone(caller)))
    }

    /// Whether the agent works on after a change, in a view.
    pub fn collects_changes(&self) -> bool {
        self.config.turns.collects_changes() && self.agent.fence().view.holds()
    }

    /// Whether the turn's tools are served to the agent, so that the run can wait for their results.
    pub async fn serves(&self, turn: &Turn) -> bool {
        if !self.config.turns.serves_tools() || !turn.allows_tools() {
            return false;
        }
        // The first turn may be faster than the question. An agent that does not answer it has later
        // ones, whose runs don't wait.
        let _ = tokio::time::timeout(ASKED, self.agent.learn_serving()).await;
        self.agent.serving_problem().is_none()
    }
}
