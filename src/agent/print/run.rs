//! A run in print mode: a child behind the fence, in a slot.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt as _;
use tokio::time::{Instant, sleep_until};

use super::{PrintAgent, command::Command, files, output::ChildOutput, served::ServedRun};
use crate::{
    agent::{
        AgentError, AgentEvent, CallKey, RunRequest, Siblings, Site, ViewChange, agent::refused,
    },
    sandbox::{
        fence::{
            Enclosure,
            changes::{Change, Content, ReadLimits},
            launcher::{self, Line},
        },
        slot::Slot,
    },
    threads::blocking,
    turn::{Attachment, ToolResult},
};

/// A running child, its fence and its slot. Dropping it ends the child's whole process group and
/// then cleans the slot, both in the background.
#[derive(Debug)]
pub struct PrintRun {
    agent: Arc<PrintAgent>,
    command: Command,
    /// Kept for another start until the child has begun.
    prompt: Bytes,
    enclosure: Enclosure,
    /// The client's tools, if the child calls them as its own.
    served: Option<ServedRun>,
    /// Events that are not delivered before it is known that the child takes the tools.
    held: Vec<AgentEvent>,
    /// Taken when it is dropped.
    inside: Option<Inside>,
}

#[derive(Debug)]
struct Inside {
    output: ChildOutput,
    slot: Slot,
}

impl PrintRun {
    pub(in crate::agent) async fn start(
        agent: Arc<PrintAgent>,
        request: RunRequest,
        prompt: impl FnOnce(&Site) -> String + Send,
    ) -> Result<(Self, Site), AgentError> {
        let slot = agent.slots.acquire().await.map_err(refused)?;
        let files = files::write(request.files, &slot.dirs().tmp()).await?;
        let own = slot.dirs().workspace();
        let endpoint = agent.endpoint.as_ref();
        let endpoint = endpoint.filter(|_| !request.tools.is_empty());
        let mut served = endpoint.map(|endpoint| {
            ServedRun::new(endpoint.offer(&request.tools), agent.serving.native_reads)
        });
        let site = Site {
            workspace: request.workspace.unwrap_or_else(|| own.clone()),
            files,
            served: served.as_ref().map(ServedRun::names),
        };
        let command = Command {
            model: request.model,
            workspace: match served {
                Some(_) => own,
                None => site.workspace.clone(),
            },
            served: served.is_some(),
            tap: request.tap,
            key: request.key,
        };
        if let Some(served) = &mut served {
            served.relocate(&command.workspace, &site.workspace);
            served.configure(&command.workspace).map_err(refused)?;
        }
        // The prompt is written while the child is started.
        let begun = Self::begin(agent, command, slot);
        let (begun, prompt) = futures::join!(begun, async { prompt(&site) });
        let mut run = begun?;
        run.served = served;
        run.prompt = prompt.into();
        run.feed();
        Ok((run, site))
    }

    /// Starts the child in a slot that is ready. If nobody waits for that any more, the run is dropped, and
    /// so ended, when it has begun.
    async fn begin(
        agent: Arc<PrintAgent>,
        command: Command,
        slot: Slot,
    ) -> Result<Self, AgentError> {
        let (fence, dirs) = (&agent.fence, slot.dirs());
        let Some(awaited) = fence.awaited(dirs, &command.workspace, command.rules()) else {
            let enter = move || {
                let enclosure = command.prepare(&agent, slot.dirs())?;
                Self::enter(agent, command, slot, enclosure)
            };
            return blocking(enter).await;
        };
        // It starts while the slot is looked at, and without a prompt it does nothing.
        let run = Self::enter(agent, command, slot, awaited)?;
        let (mut run, is_ready) = blocking(move || {
            let is_ready = run.is_ready();
            (run, is_ready)
        })
        .await;
        if !is_ready {
            run.restart().await?;
        }
        Ok(run)
    }

    /// Starts the child. Blocking, unless a launcher waits.
    fn enter(
        agent: Arc<PrintAgent>,
        command: Command,
        slot: Slot,
        mut enclosure: Enclosure,
    ) -> Result<Self, AgentError> {
        let output = command.start(&agent, slot.dirs(), &mut enclosure)?;
        Ok(Self {
            agent,
            command,
            prompt: Bytes::new(),
            enclosure,
            served: None,
            held: Vec::new(),
            inside: Some(Inside { output, slot }),
        })
    }

    /// Whether the slot is ready for the child that was started in it. Blocking.
    fn is_ready(&self) -> bool {
        let fence = &self.agent.fence;
        self.inside.as_ref().is_some_and(|inside| {
            fence.is_ready(&self.enclosure, inside.slot.dirs(), self.command.rules())
        })
    }

    /// Ends the child, and starts another one in its place.
    async fn restart(&mut self) -> Result<(), AgentError> {
        let Some(inside) = &mut self.inside else {
            return Ok(());
        };
        inside.output.end().await;
        let slot = inside.slot.dirs().clone();
        let (agent, command) = (Arc::clone(&self.agent), self.command.clone());
        self.enclosure = blocking(move || command.prepare(&agent, &slot)).await?;
        // Here, since this may be cancelled: then nobody would know of the child.
        let (command, slot) = (&self.command, inside.slot.dirs());
        inside.output = command.start(&self.agent, slot, &mut self.enclosure)?;
        Ok(())
    }

    fn feed(&mut self) {
        if let Some(inside) = &mut self.inside {
            inside.output.feed(self.prompt.clone(), &self.agent.reaper);
        }
    }

    /// See [`AgentRun::next`](crate::agent::AgentRun::next). A child that could not begin gives way
    /// to another one without what it could not take.
    pub(in crate::agent) async fn next(
        &mut self,
        events: &mut Vec<AgentEvent>,
    ) -> Result<(), AgentError> {
        loop {
            let Err(error) = self.read(events).await else {
                // Not needed for another start any more, and it can be megabytes.
                self.prompt = Bytes::new();
                if let (None, Some(AgentEvent::Started(session))) =
                    (&self.command.key, events.first())
                {
                    self.agent.note_credential(session);
                }
                return Ok(());
            };
            let Some(inside) = &mut self.inside else {
                return Err(error);
            };
            if inside.output.json_seen() {
                let unproven = self.served.as_ref().is_some_and(|served| !served.listed());
                return Err(if unproven { not_served(&error) } else { error });
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
            match failure.filter(|_| is_launcher) {
                Some(failure) => {
                    let fallen = self.agent.fence.fall_back(&self.enclosure, failure);
                    fallen.await.map_err(refused)?;
                }
                None if self.served.is_some() => {
                    let words = error.to_string();
                    let carrier = &self.agent.carrier;
                    if words.contains("allowed-tools") && carrier.takes_allowed_tools() {
                        carrier.refused_allowed_tools();
                    } else {
                        if words.contains("unknown option") {
                            carrier.refused(&words);
                        }
                        return Err(not_served(&error));
                    }
                }
                None => return Err(error),
            }
            self.restart().await?;
            self.feed();
        }
    }

    /// Waits for events that may be delivered.
    async fn read(&mut self, events: &mut Vec<AgentEvent>) -> Result<(), AgentError> {
        let Some(inside) = &mut self.inside else {
            return Err(AgentError::Failed("the run was given up".to_owned()));
        };
        let Some(served) = &mut self.served else {
            return inside.output.next(events).await;
        };
        loop {
            if served.listed() && !self.held.is_empty() {
                self.agent.carrier.listed();
                events.append(&mut self.held);
                return Ok(());
            }
            let finished = matches!(self.held.last(), Some(AgentEvent::Finished(_)));
            let late = served.deadline().is_some_and(|at| at <= Instant::now());
            if finished && !served.listed() {
                // Its request may be here already.
                self.held.extend(served.next().now_or_never().flatten());
            }
            if !served.listed() && (finished || late) {
                let why = "it did not ask for the list of tools";
                if finished {
                    self.agent.carrier.finished_unlisted();
                } else {
                    self.agent.carrier.refused(why);
                }
                return Err(not_served(&why));
            }
            let deadline = served.deadline();
            let mut read = Vec::new();
            tokio::select! {
                biased;
                // What it says before a call comes before the call.
                step = inside.output.next(&mut read) => {
                    served.began(self.agent.serving.listed_within);
                    self.held.extend(read.into_iter().map(|event| served.filter(event)));
                    step?;
                }
                event = served.next() => self.held.extend(event),
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {}
            }
        }
    }

    pub(in crate::agent) fn reply(
        &mut self,
        key: CallKey,
        result: &ToolResult,
        files: &[Attachment],
    ) {
        if let Some(served) = &mut self.served {
            served.reply(key, result, files);
        }
    }

    pub(in crate::agent) fn can_wait(&self) -> bool {
        self.served.is_some()
    }

    pub(in crate::agent) fn place(&self, key: CallKey) -> Option<usize> {
        self.served.as_ref()?.place(key)
    }

    pub(in crate::agent) fn siblings(&self) -> Siblings {
        self.served
            .as_ref()
            .map_or(Siblings::Unknown, ServedRun::siblings)
    }

    pub(in crate::agent) fn has_view(&self) -> bool {
        self.enclosure.has_view()
    }

    pub(in crate::agent) fn pid(&self) -> Option<u32> {
        self.inside.as_ref().map(|inside| inside.output.pid())
    }

    pub(in crate::agent) async fn changes(&self) -> Vec<ViewChange> {
        let changes = self.enclosure.changes(ReadLimits::default()).await;
        let (mut list, complete) = match changes {
            Ok(None) => return Vec::new(),
            Ok(Some(changes)) => {
                let list = changes.list.into_iter().filter_map(view_change);
                (list.collect(), changes.complete)
            }
            Err(error) => {
                tracing::warn!(%error, "cannot read the agent's changes back");
                (Vec::new(), false)
            }
        };
        if !complete {
            let directory = self.enclosure.workspace().display().to_string();
            list.push(ViewChange::Unread { directory });
        }
        list
    }
}

impl PrintRun {
    /// Ends the child, and gives the slot back when that is done.
    pub(in crate::agent) fn end(&mut self) {
        // Calls that the child waits for are answered with an error first.
        self.served = None;
        let Some(Inside {
            mut output,
            mut slot,
        }) = self.inside.take()
        else {
            return;
        };
        slot.when_clean(self.agent.fence.warming(&self.enclosure));
        self.agent.reaper.spawn(async move {
            output.end().await;
            drop(slot);
        });
    }
}

impl Drop for PrintRun {
    fn drop(&mut self) {
        self.end();
    }
}

fn not_served(why: &dyn std::fmt::Display) -> AgentError {
    AgentError::NotServed(why.to_string())
}

/// A change in our terms; nothing if the real file has become the same meanwhile.
fn view_change(change: Change) -> Option<ViewChange> {
    let text = |content: Option<Content>| match content {
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
