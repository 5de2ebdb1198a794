//! The middle of a turn: the agent's events become the client's, until an end or a budget.

use std::{future::Future, time::Duration};

use tokio::time::{Instant, sleep_until};

use super::{
    Budgets,
    chat::Chat,
    failure::turn_error,
    output::{Next, Shaper},
    sessions::Note,
    stream::Sender,
    usage::Meter,
};
use crate::{
    agent::{AgentError, AgentEvent, FencedRun, classify},
    boundary::{FileChange, Translator, Verdict},
    sandbox::fence::changes::{Change, Content, Node},
    turn::{Activity, Delta, ErrorKind, FinishReason, Message, TurnEnd, TurnError, TurnEvent},
};

/// How long the siblings of an announced tool call have to arrive: parallel calls are announced
/// within the same millisecond.
const SETTLE: Duration = Duration::from_millis(25);

/// Far beyond any real budget, and still a time that `Instant` can hold.
const FOREVER: Duration = Duration::from_secs(86_400 * 365);

/// Where the events come from: a run of the agent, or a test's script.
pub(super) trait Source: Send {
    /// See [`FencedRun::next`].
    fn next(
        &mut self,
        events: &mut Vec<AgentEvent>,
    ) -> impl Future<Output = Result<(), AgentError>> + Send;

    /// What the agent has changed in its view up to now.
    fn changes(&self) -> impl Future<Output = Vec<Told>> + Send;
}

/// A change that the client can be told in a tool call, or the path of one that it can't.
type Told = Result<FileChange, String>;

impl Source for FencedRun {
    async fn next(&mut self, events: &mut Vec<AgentEvent>) -> Result<(), AgentError> {
        FencedRun::next(self, events).await
    }

    async fn changes(&self) -> Vec<Told> {
        let changes = FencedRun::changes(self).await;
        changes.into_iter().filter_map(told).collect()
    }
}

/// What the client is told of a change; nothing if only permissions differ.
fn told(change: Change) -> Option<Told> {
    let path = change.path.to_string_lossy().into_owned();
    let text = |node: Option<Node>| match node.map(|node| node.content) {
        None => Some(None),
        Some(Content::Text(text)) => Some(Some(text)),
        Some(_) => None,
    };
    let sides = text(change.before).zip(text(change.after));
    let Some((before, after)) = sides.filter(|_| change.path.to_str().is_some()) else {
        tracing::warn!(path, "the agent changed what is no text file; left out");
        return Some(Err(path));
    };
    (before != after).then_some(Ok(FileChange {
        path,
        before,
        after,
    }))
}

/// What follows a run.
pub(super) enum After {
    /// Nothing.
    End,
    /// Nothing, and its chat holds all that was noted.
    Chat { id: String, note: Box<Note> },
    /// A run that goes on with these messages: the model is to try again.
    Again([Message; 2]),
    /// A run that is told everything: this one did not go on with its chat. The client has seen
    /// nothing of it.
    Afresh,
}

/// The state of one answer.
pub(super) struct Answer<'a> {
    boundary: &'a mut Translator,
    shaper: &'a mut Shaper,
    meter: Meter<'a>,
    model: &'a str,
    chat: Chat,
    started: bool,
    settling: bool,
    deltas: Vec<Delta>,
    batch: Vec<TurnEvent>,
}

impl<'a> Answer<'a> {
    /// Nothing of the answer is there yet. `model` is the one that the turn asked for.
    pub fn new(
        boundary: &'a mut Translator,
        shaper: &'a mut Shaper,
        meter: Meter<'a>,
        model: &'a str,
        chat: Chat,
    ) -> Self {
        Self {
            boundary,
            shaper,
            meter,
            model,
            chat,
            started: false,
            settling: false,
            deltas: Vec::new(),
            batch: Vec::new(),
        }
    }

    /// Relays the agent's events until the run ends. All of a read's events are sent as one batch.
    pub async fn relay(
        &mut self,
        run: &mut impl Source,
        budgets: Budgets,
        events: &Sender,
    ) -> After {
        let mut read: Vec<AgentEvent> = Vec::new();
        let begun = Instant::now();
        let deadline = begun + budgets.total.unwrap_or(FOREVER).min(FOREVER);
        let timer = sleep_until(deadline.min(begun + budgets.first_event.min(FOREVER)));
        tokio::pin!(timer);
        loop {
            let end = tokio::select! {
                biased;
                step = run.next(&mut read) => {
                    if !self.started && !self.chat.is_right(&read) {
                        return After::Afresh;
                    }
                    let end = self.on_events(&mut read, run).await;
                    match (step, end) {
                        (Ok(()), end) | (Err(_), end @ Some(_)) => end,
                        (Err(error), None) => {
                            Some(self.settle(run).await.unwrap_or_else(|| {
                                TurnEnd::failed(turn_error(error, self.model))
                            }))
                        }
                    }
                }
                () = &mut timer => Some(self.settle(run).await.unwrap_or_else(|| {
                    TurnEnd::failed(if Instant::now() >= deadline {
                        over(begun.elapsed())
                    } else {
                        self.silent(self.silence(budgets))
                    })
                })),
            };
            let next = end.map(|mut end| {
                self.meter.end(&mut end);
                self.shaper.end(end, &mut self.batch)
            });
            let after = next.map(|next| match next {
                Next::Again(messages) => After::Again(messages),
                Next::End(end) => {
                    // One that waits for tools is not at its end.
                    let said_all = end.outcome == Ok(FinishReason::Stop);
                    self.batch.push(TurnEvent::End(end));
                    let chat = self.chat.take().filter(|_| said_all);
                    chat.map_or(After::End, |(id, note)| After::Chat { id, note })
                }
            });
            if !self.batch.is_empty() && events.send(std::mem::take(&mut self.batch)).await.is_err()
            {
                return After::End;
            }
            if let Some(after) = after {
                return after;
            }
            let wait = if self.settling {
                SETTLE
            } else {
                self.silence(budgets)
            };
            let wake = Instant::now() + wait.min(FOREVER);
            timer.as_mut().reset(wake.min(deadline));
        }
    }

    /// Takes events up to the end of the turn.
    async fn on_events(
        &mut self,
        read: &mut Vec<AgentEvent>,
        run: &impl Source,
    ) -> Option<TurnEnd> {
        for event in read.drain(..) {
            self.look_into_view(run).await;
            if let Some(file) = self.boundary.asks_about(&event)
                && let Ok(false) = tokio::fs::try_exists(&file).await
            {
                self.boundary.is_absent(file);
            }
            let end = self.on_event(event);
            if end.is_some() {
                return end;
            }
        }
        None
    }

    fn on_event(&mut self, event: AgentEvent) -> Option<TurnEnd> {
        if !self.started {
            self.started = true;
            self.batch.push(TurnEvent::Started);
        }
        if let AgentEvent::Finished(result) = &event
            && result.is_error
        {
            let error = classify::error_result(&result.text);
            return Some(TurnEnd::failed(turn_error(error, self.model)));
        }
        self.meter.event(&event);
        self.chat.event(&event);
        let verdict = self.boundary.on_event(event, &mut self.deltas);
        self.take(verdict)
    }

    /// Tells the boundary what the agent really changed, once an edit is complete.
    async fn look_into_view(&mut self, run: &impl Source) {
        if self.boundary.changes_due() {
            let mut changes = Vec::new();
            for told in run.changes().await {
                match told {
                    Ok(change) => changes.push(change),
                    // The model believes that it was done, so the user has to know.
                    Err(path) => self.deltas.push(Delta::Text(format!(
                        "\n\n[open-cursor: the change of {path} was not made: it is no text file of \
                         moderate size, so no tool call can carry it]\n\n"
                    ))),
                }
            }
            self.boundary.on_changes(changes);
        }
    }

    /// Emits calls that wait for siblings; `None` if there are none.
    async fn settle(&mut self, run: &impl Source) -> Option<TurnEnd> {
        if !self.settling {
            return None;
        }
        self.look_into_view(run).await;
        let verdict = self.boundary.settle(&mut self.deltas);
        self.take(verdict)
    }

    fn take(&mut self, verdict: Verdict) -> Option<TurnEnd> {
        for delta in self.deltas.drain(..) {
            if let Delta::Activity(Activity { tool, outcome }) = &delta {
                tracing::debug!(tool, outcome, "a tool ran on Cursor's side");
            }
            self.meter.delta(&delta);
            self.chat.delta(&delta);
            if let Some(reason) = self.shaper.delta(delta, &mut self.batch) {
                return Some(TurnEnd::finished(reason, None));
            }
        }
        self.settling = matches!(verdict, Verdict::Settling);
        match verdict {
            Verdict::End(end) => Some(end),
            Verdict::Continue | Verdict::Settling => None,
        }
    }

    /// How long the agent may be silent now.
    fn silence(&self, budgets: Budgets) -> Duration {
        budgets.next(self.started, self.boundary.open_tool().as_ref())
    }

    fn silent(&self, silence: Duration) -> TurnError {
        let secs = silence.as_secs();
        let message = match (self.started, self.boundary.open_tool()) {
            (false, _) => format!(
                "cursor-agent sent nothing for {secs} s after it was started; \
                 check `cursor-agent status`, or raise --agent-timeout"
            ),
            (true, Some(tool)) => format!(
                "cursor-agent has been silent for {secs} s while its tool `{}` was open; \
                 raise --idle-timeout if such calls may take longer",
                tool.name
            ),
            (true, None) => format!(
                "cursor-agent has been silent for {secs} s; \
                 raise --idle-timeout if answers may take longer"
            ),
        };
        TurnError::new(ErrorKind::Timeout, message)
    }
}

fn over(total: Duration) -> TurnError {
    TurnError::new(
        ErrorKind::Timeout,
        format!(
            "the answer was not complete after {} s; raise --turn-timeout if answers may take longer",
            total.as_secs()
        ),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
