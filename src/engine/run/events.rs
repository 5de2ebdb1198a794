//! What becomes of each event of a run, and of the calls that settle.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    Pause, Run, RunSource,
    last_word::{LastWord, changed_meanwhile},
};
use crate::{
    agent::{AgentError, AgentEvent, Siblings, classify},
    boundary::{self, Fact, Need, ReadyCall, Source, Verdict},
    engine::{answer::Answer, failure::turn_error, losses::LossReason},
    turn::TurnError,
};

/// How long the siblings of an announced native call have to arrive: parallel calls are announced
/// within the same millisecond.
const SETTLE: Duration = Duration::from_millis(25);

/// How long the siblings of a call that the agent waits for have to arrive: each is a request of
/// its own. Parallel calls were seen up to 1.2 s apart (parked.md 2.3).
const SETTLE_HELD: Duration = Duration::from_millis(100);

/// The same, if all that the agent has announced have come: it announces siblings together.
const SETTLE_COMPLETE: Duration = Duration::from_millis(50);

/// The same, while the agent has announced more of them.
const SETTLE_ANNOUNCED: Duration = Duration::from_millis(1500);

impl<S: RunSource> Run<S> {
    /// When pending calls have waited long enough for others.
    pub(super) fn settle_at(&self) -> Option<Instant> {
        let (first, last) = self.settling?;
        if !self.agent.can_wait() {
            return Some(last + SETTLE);
        }
        let most = first + SETTLE_ANNOUNCED;
        Some(match self.agent.siblings() {
            Siblings::Announced => most,
            Siblings::Unknown => most.min(last + SETTLE_HELD),
            Siblings::Complete => most.min(last + SETTLE_COMPLETE),
        })
    }

    /// The agent ended without a result.
    pub(super) async fn broken(&mut self, error: AgentError, answer: &mut Answer<'_>) -> Pause {
        if let AgentError::NotServed(message) = &error {
            tracing::info!(parent: &self.span, "the run is started again without served tools: {message}");
            return Pause::NotServed;
        }
        while let Some(event) = self.backlog.pop_front() {
            if let Some(pause) = self.take(event, answer).await {
                return pause;
            }
        }
        self.failed(turn_error(error, &self.model), answer).await
    }

    /// The run can't go on: what is pending goes out, and text that was held back.
    pub(super) async fn failed(&mut self, error: TurnError, answer: &mut Answer<'_>) -> Pause {
        match self.settle(answer).await {
            Some(Pause::Calls(calls)) if calls.iter().any(is_held) => {}
            Some(pause) => return pause,
            None => {}
        }
        Pause::Failed(error)
    }

    pub(super) async fn take(
        &mut self,
        event: AgentEvent,
        answer: &mut Answer<'_>,
    ) -> Option<Pause> {
        if !self.started {
            self.started = true;
            answer.started();
        }
        match &event {
            AgentEvent::Finished(result) if result.is_error => {
                let error = classify::error_result(&result.text);
                let error = turn_error(error, &self.model);
                return Some(self.failed(error, answer).await);
            }
            AgentEvent::Finished(result) => {
                self.usage = result.usage;
                answer.finished();
            }
            AgentEvent::ToolCompleted(call)
                if self.agent.can_wait() && boundary::changed_something(call) =>
            {
                answer.breach(&call.kind);
            }
            _ => {}
        }
        let held = matches!(event, AgentEvent::ToolRequested { .. });
        let verdict = self.translator.on_event(event, answer.deltas());
        self.follow(verdict, held, answer).await
    }

    /// Emits calls that wait for siblings, and text that was held back.
    pub(super) async fn settle(&mut self, answer: &mut Answer<'_>) -> Option<Pause> {
        let verdict = self.translator.settle(answer.deltas());
        self.follow(verdict, false, answer).await
    }

    async fn follow(
        &mut self,
        mut verdict: Verdict,
        new_call: bool,
        answer: &mut Answer<'_>,
    ) -> Option<Pause> {
        while let Verdict::Need(need) = verdict {
            let fact = self.find_out(need, answer).await;
            if let (Some(originals), Fact::Changes(changes)) = (&mut self.originals, &fact)
                && let Some(path) = originals.changed(changes)
            {
                tracing::warn!(
                    path,
                    "a file was changed while the agent worked on it: another run has to"
                );
                return Some(Pause::Again(Some(changed_meanwhile(
                    &path,
                    answer.take_said().unwrap_or_default(),
                ))));
            }
            verdict = self.translator.learn(fact, answer.deltas());
        }
        for path in self.translator.take_lost() {
            answer.lost_change(&path, LossReason::NoTool);
        }
        if let Some(reason) = answer.take_deltas() {
            for path in self.translator.unsent_changes() {
                answer.lost_change(path, LossReason::Cut);
            }
            return Some(Pause::Cut(reason));
        }
        self.settling = match (&verdict, self.settling) {
            (Verdict::Settling, None) => {
                let now = Instant::now();
                Some((now, now))
            }
            // Any event of a native run shows that siblings may be on their way.
            (Verdict::Settling, Some((first, _))) if new_call || !self.agent.can_wait() => {
                Some((first, Instant::now()))
            }
            (Verdict::Settling, settling) => settling,
            _ => None,
        };
        if let Some(text) = self.translator.last_word() {
            self.agent.end();
            self.last_word = Some(LastWord {
                text,
                is_void: false,
            });
        }
        match verdict {
            Verdict::Calls(calls) => Some(Pause::Calls(calls)),
            Verdict::Stop(_) => Some(Pause::Finished),
            Verdict::Continue | Verdict::Settling | Verdict::Need(_) => None,
        }
    }

    async fn find_out(&mut self, need: Need, answer: &mut Answer<'_>) -> Fact {
        match need {
            Need::Exists(file) => {
                let exists = tokio::fs::try_exists(&file).await;
                Fact::Exists(file, exists.unwrap_or(true))
            }
            Need::Changes => {
                let (changes, lost) = self.agent.changes().await;
                for (path, reason) in lost {
                    answer.lost_change(&path, reason);
                }
                Fact::Changes(changes)
            }
        }
    }
}

fn is_held(ready: &ReadyCall) -> bool {
    matches!(ready.source, Source::Held(_))
}
