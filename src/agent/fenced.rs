//! A run behind the fence, in a slot.

use std::sync::Arc;

use super::{Agent, AgentError, AgentEvent, AgentRun, RunRequest};
use crate::sandbox::{
    fence::{
        Enclosure,
        changes::{Change, Limits},
        launcher::{self, Line},
    },
    slot::Slot,
};

/// A running agent, its fence and its slot. Dropping it ends the agent's whole process group and
/// then cleans the slot, both in the background.
#[derive(Debug)]
pub struct FencedRun {
    agent: Agent,
    request: RunRequest,
    enclosure: Enclosure,
    /// Taken when it is dropped.
    inside: Option<Inside>,
}

#[derive(Debug)]
struct Inside {
    run: AgentRun,
    slot: Arc<Slot>,
}

impl FencedRun {
    pub(super) async fn start(
        agent: Agent,
        request: RunRequest,
        slot: Slot,
    ) -> Result<Self, AgentError> {
        let (run, enclosure) = agent.enter(&request, &slot).await?;
        let slot = Arc::new(slot);
        Ok(Self {
            agent,
            request,
            enclosure,
            inside: Some(Inside { run, slot }),
        })
    }

    /// See [`AgentRun::next`]. A view that turns out not to work here gives way to a new run
    /// without one: the agent has not begun then.
    ///
    /// # Errors
    /// Why there is no result.
    pub async fn next(&mut self, events: &mut Vec<AgentEvent>) -> Result<(), AgentError> {
        loop {
            let Some(inside) = &mut self.inside else {
                return Err(AgentError::Failed {
                    message: "the run was given up".to_owned(),
                });
            };
            let Err(error) = inside.run.next(events).await else {
                // Not needed for another start any more, and it can be megabytes.
                self.request.prompt = Arc::default();
                if let Some(AgentEvent::Started(session)) = events.first() {
                    self.agent.note_credential(session);
                }
                return Ok(());
            };
            if inside.run.json_seen() {
                return Err(error);
            }
            let exit = inside.run.exit().await;
            let is_launcher = exit.status.and_then(|status| status.code())
                == Some(i32::from(launcher::EXIT_FAILED));
            let failure = exit
                .stderr
                .lines()
                .find_map(|line| match Line::parse(line) {
                    Some(Line::Failed(failure)) => Some(failure),
                    _ => None,
                });
            let Some(failure) = failure.filter(|_| is_launcher) else {
                return Err(error);
            };
            let fence = self.agent.enclosing();
            fence
                .fall_back(&self.enclosure, failure)
                .await
                .map_err(|error| AgentError::Refused {
                    message: error.to_string(),
                })?;
            let (run, enclosure) = self.agent.enter(&self.request, &inside.slot).await?;
            inside.run = run;
            self.enclosure = enclosure;
        }
    }

    /// Whether the agent's changes to the workspace go to a view of its own.
    #[must_use]
    pub fn has_view(&self) -> bool {
        self.enclosure.has_view()
    }

    /// What the agent has changed in its view up to now; nothing without a view.
    pub async fn changes(&self) -> Vec<Change> {
        match self.enclosure.changes(Limits::default()).await {
            Ok(changes) => {
                let changes = changes.unwrap_or_default();
                if !changes.complete {
                    tracing::warn!("the agent changed more files than can be handed on");
                }
                changes.list
            }
            Err(error) => {
                tracing::warn!(%error, "the agent's changes can't be read back");
                Vec::new()
            }
        }
    }

    /// After its result, lets the agent save its chat and exit, and then calls `saved`; an agent
    /// that takes too long is ended as by a drop.
    pub fn leave(mut self, saved: impl FnOnce() + Send + 'static) {
        let Some(Inside { mut run, slot }) = self.inside.take() else {
            return;
        };
        self.agent.reaper().spawn(async move {
            note_descendants(&run, &slot).await;
            if run.exit().await.status.is_some() {
                saved();
            }
            drop(slot);
        });
    }
}

impl Drop for FencedRun {
    fn drop(&mut self) {
        let Some(Inside { run, slot }) = self.inside.take() else {
            return;
        };
        self.agent.reaper().spawn(async move {
            note_descendants(&run, &slot).await;
            run.end().await;
            drop(slot);
        });
    }
}

/// Descendants that leave the group can only be found while the agent lives.
async fn note_descendants(run: &AgentRun, slot: &Arc<Slot>) {
    let (noting, pid) = (Arc::clone(slot), run.pid());
    let _ = tokio::task::spawn_blocking(move || noting.note_descendants(pid)).await;
}
