//! A run in print mode: a child behind the fence, in a slot.

use std::{path::PathBuf, sync::Arc};

use super::{args, files, output::Output};
use crate::{
    agent::{
        Agent, AgentError, AgentEvent, CallKey, RunRequest, Site, Tap, ViewChange, agent::refused,
    },
    sandbox::{
        fence::{
            Enclosure,
            changes::{Change, Content, Limits, Node},
            launcher::{self, Line},
        },
        slot::Slot,
    },
    turn::ToolResult,
};

/// A running child, its fence and its slot. Dropping it ends the child's whole process group and
/// then cleans the slot, both in the background.
#[derive(Debug)]
pub struct PrintRun {
    agent: Agent,
    command: Command,
    enclosure: Enclosure,
    /// Taken when it is dropped.
    inside: Option<Inside>,
}

/// What the child is started with, kept for another start until it has begun.
#[derive(Debug)]
struct Command {
    model: String,
    workspace: PathBuf,
    prompt: Arc<str>,
    tap: Option<Tap>,
}

#[derive(Debug)]
struct Inside {
    output: Output,
    slot: Slot,
}

impl PrintRun {
    pub(in crate::agent) async fn start(
        agent: Agent,
        request: RunRequest,
        prompt: impl FnOnce(&Site) -> String + Send,
    ) -> Result<(Self, Site), AgentError> {
        let slot = agent.slot().await?;
        let files = files::write(request.files, &slot.dirs().tmp()).await?;
        let workspace = request.workspace;
        let site = Site {
            workspace: workspace.unwrap_or_else(|| slot.dirs().workspace()),
            files,
            served: None,
        };
        let command = Command {
            model: request.model,
            workspace: site.workspace.clone(),
            prompt: prompt(&site).into(),
            tap: request.tap,
        };
        let (output, enclosure) = enter(&agent, &command, &slot).await?;
        let run = Self {
            agent,
            command,
            enclosure,
            inside: Some(Inside { output, slot }),
        };
        Ok((run, site))
    }

    /// See [`AgentRun::next`](crate::agent::AgentRun::next). A view that turns out not to work here
    /// gives way to a new child without one: the agent has not begun then.
    pub(in crate::agent) async fn next(
        &mut self,
        events: &mut Vec<AgentEvent>,
    ) -> Result<(), AgentError> {
        loop {
            let Some(inside) = &mut self.inside else {
                return Err(AgentError::Failed {
                    message: "the run was given up".to_owned(),
                });
            };
            let Err(error) = inside.output.next(events).await else {
                // Not needed for another start any more, and it can be megabytes.
                self.command.prompt = Arc::default();
                if let Some(AgentEvent::Started(session)) = events.first() {
                    self.agent.note_credential(session);
                }
                return Ok(());
            };
            if inside.output.json_seen() {
                return Err(error);
            }
            let exit = inside.output.exit().await;
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
            let fence = self.agent.fencing();
            fence
                .fall_back(&self.enclosure, failure)
                .await
                .map_err(refused)?;
            let (output, enclosure) = enter(&self.agent, &self.command, &inside.slot).await?;
            inside.output = output;
            self.enclosure = enclosure;
        }
    }

    pub(in crate::agent) fn reply(&mut self, _key: CallKey, _result: ToolResult) -> bool {
        false
    }

    pub(in crate::agent) fn can_wait(&self) -> bool {
        false
    }

    pub(in crate::agent) fn expects_calls(&self) -> bool {
        false
    }

    pub(in crate::agent) fn has_view(&self) -> bool {
        self.enclosure.has_view()
    }

    pub(in crate::agent) fn pid(&self) -> Option<u32> {
        self.inside.as_ref().map(|inside| inside.output.pid())
    }

    pub(in crate::agent) async fn changes(&self) -> Vec<ViewChange> {
        match self.enclosure.changes(Limits::default()).await {
            Ok(changes) => {
                let changes = changes.unwrap_or_default();
                if !changes.complete {
                    tracing::warn!("the agent changed more files than can be handed on");
                }
                changes.list.into_iter().filter_map(view_change).collect()
            }
            Err(error) => {
                tracing::warn!(%error, "cannot read the agent's changes back");
                Vec::new()
            }
        }
    }
}

impl Drop for PrintRun {
    fn drop(&mut self) {
        let Some(Inside { output, slot }) = self.inside.take() else {
            return;
        };
        self.agent.reaper().spawn(async move {
            output.end().await;
            drop(slot);
        });
    }
}

/// Makes the slot ready for the child, and starts it.
async fn enter(
    agent: &Agent,
    command: &Command,
    slot: &Slot,
) -> Result<(Output, Enclosure), AgentError> {
    let enclosure = agent
        .fencing()
        .prepare(slot.dirs(), &command.workspace)
        .await
        .map_err(refused)?;
    // It was without symlinks when it was allowed.
    if enclosure.workspace() != command.workspace {
        return Err(AgentError::Refused {
            message: format!(
                "the workspace {} was replaced by a symlink while the run was prepared",
                command.workspace.display()
            ),
        });
    }
    if let Some(warning) = enclosure.warning() {
        tracing::warn!("{warning}");
    }
    let args = args::args(&command.model, &command.workspace);
    let spec = agent
        .program()
        .spec(args, agent.env().to_vec(), &command.workspace);
    let mut spec = enclosure.wrap(spec);
    if agent.shares_config() {
        let users = agent.env().iter().find(|(n, _)| n == "CURSOR_CONFIG_DIR");
        spec.env.retain(|(name, _)| name != "CURSOR_CONFIG_DIR");
        spec.env.extend(users.cloned());
    }
    let mut output = Output::start(&spec, Arc::clone(&command.prompt), agent.reaper())?;
    output.tap(command.tap.clone());
    Ok((output, enclosure))
}

/// A change in our terms; nothing if only permissions differ.
fn view_change(change: Change) -> Option<ViewChange> {
    let text = |node: Option<Node>| match node.map(|node| node.content) {
        None => Some(None),
        Some(Content::Text(text)) => Some(Some(text)),
        Some(_) => None,
    };
    let path = change.path.to_string_lossy().into_owned();
    let sides = text(change.before).zip(text(change.after));
    match sides.filter(|_| change.path.to_str().is_some()) {
        Some((before, after)) => (before != after).then_some(ViewChange::Text {
            path,
            before,
            after,
        }),
        None => Some(ViewChange::Opaque { path }),
    }
}
