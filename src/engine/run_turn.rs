//! One turn, from the prompt to its end.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until};

use super::{
    Budgets, Shared,
    failure::{turn_error, unknown_model},
    shape::Shaper,
    stream::Sender,
};
use crate::{
    agent::{AgentEvent, AgentRun, RunRequest, classify},
    boundary::{Boundary, Verdict},
    models, prompt,
    turn::{Delta, ErrorKind, Turn, TurnEnd, TurnError, TurnEvent},
};

/// How long the siblings of an announced tool call have to arrive: parallel calls are announced
/// within the same millisecond.
const SETTLE: Duration = Duration::from_millis(25);

/// Runs the turn, unless the client hangs up or the server stops meanwhile.
pub(super) async fn run_turn(shared: Arc<Shared>, turn: Turn, events: Sender) {
    tokio::select! {
        biased;
        () = events.closed() => tracing::debug!("the client hung up"),
        () = shared.stop.cancelled() => {
            let error = TurnError::new(
                ErrorKind::ShuttingDown,
                "open-cursor is shutting down; send the request again",
            );
            // The client gets what is left of the grace to take this.
            send_end(&events, TurnEnd::failed(error)).await;
        }
        () = answer(&shared, turn, &events) => {}
    }
}

async fn send_end(events: &Sender, end: TurnEnd) {
    // If the receiver is gone, so is the reason to tell it.
    let _ = events.send(vec![TurnEvent::End(end)]).await;
}

async fn answer(shared: &Shared, turn: Turn, events: &Sender) {
    let config = &shared.config;
    let requested = models::Request {
        model: Some(&turn.model),
        cursor_model: turn.cursor_model.as_deref(),
        reasoning_effort: turn.reasoning_effort.as_deref(),
    };
    let model = match shared.models.resolve(requested).await {
        Ok(model) => model,
        Err(unknown) => return send_end(events, TurnEnd::failed(unknown_model(unknown))).await,
    };
    let mut boundary = Boundary::new(&turn, &config.workspace, &config.boundary);
    let request = RunRequest {
        prompt: prompt::render(&turn, &[]),
        model: model.clone(),
        workspace: config.workspace.clone(),
        resume: None,
    };
    let shaper = Shaper::new(&turn.shape);
    // A request can be megabytes, and nothing below needs it.
    drop(turn);
    let mut run = match shared.agent.start(request) {
        Ok(run) => run,
        Err(error) => return send_end(events, TurnEnd::failed(turn_error(error, &model))).await,
    };
    let mut answer = Answer {
        boundary: &mut boundary,
        shaper,
        model: &model,
        started: false,
        settling: false,
        deltas: Vec::new(),
        batch: Vec::new(),
    };
    answer.relay(&mut run, config.budgets, events).await;
}

/// The state of one answer.
struct Answer<'a> {
    boundary: &'a mut Boundary,
    shaper: Shaper,
    model: &'a str,
    started: bool,
    settling: bool,
    deltas: Vec<Delta>,
    batch: Vec<TurnEvent>,
}

impl Answer<'_> {
    /// Relays the agent's events until the turn ends. All of a read's events are sent as one batch.
    async fn relay(&mut self, run: &mut AgentRun, budgets: Budgets, events: &Sender) {
        let mut read: Vec<AgentEvent> = Vec::new();
        let timer = sleep_until(Instant::now() + budgets.first_event);
        tokio::pin!(timer);
        loop {
            let end = tokio::select! {
                biased;
                step = run.next(&mut read) => {
                    let end = self.on_events(&mut read).await;
                    match step {
                        Ok(()) => end,
                        Err(error) => Some(end.or_else(|| self.settle()).unwrap_or_else(|| {
                            TurnEnd::failed(turn_error(error, self.model))
                        })),
                    }
                }
                () = &mut timer => Some(self.settle().unwrap_or_else(|| {
                    let silence = budgets.next(self.started, self.boundary.open_tool().as_ref());
                    TurnEnd::failed(self.timeout(silence))
                })),
            };
            let ended = end.is_some();
            if let Some(mut end) = end {
                if let Some(reason) = self.shaper.flush(&mut self.batch) {
                    end.outcome = end.outcome.map(|_| reason);
                }
                self.batch.push(TurnEvent::End(end));
            }
            if !self.batch.is_empty() && events.send(std::mem::take(&mut self.batch)).await.is_err()
            {
                return;
            }
            if ended {
                return;
            }
            let wait = if self.settling {
                SETTLE
            } else {
                budgets.next(self.started, self.boundary.open_tool().as_ref())
            };
            // Far beyond any real budget, and still a time that `Instant` can hold.
            timer
                .as_mut()
                .reset(Instant::now() + wait.min(Duration::from_secs(86_400 * 365)));
        }
    }

    /// Takes events up to the end of the turn.
    async fn on_events(&mut self, read: &mut Vec<AgentEvent>) -> Option<TurnEnd> {
        for event in read.drain(..) {
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
        let verdict = self.boundary.on_event(event, &mut self.deltas);
        self.take(verdict)
    }

    /// Emits calls that wait for siblings; `None` if there are none.
    fn settle(&mut self) -> Option<TurnEnd> {
        if !self.settling {
            return None;
        }
        let verdict = self.boundary.settle(&mut self.deltas);
        self.take(verdict)
    }

    fn take(&mut self, verdict: Verdict) -> Option<TurnEnd> {
        for delta in self.deltas.drain(..) {
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

    fn timeout(&self, silence: Duration) -> TurnError {
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
