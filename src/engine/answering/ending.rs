//! How an answer ends, and what becomes of its run then.

use std::sync::atomic::Ordering;

use super::{Answering, NextStep};
use crate::{
    engine::{hands::Hands, run::Run, usage},
    turn::{FinishReason, Turn, TurnError},
};

impl Answering<'_> {
    /// The run came to its end; its answer may need another one.
    pub(super) async fn finished(&mut self, run: Run) -> NextStep {
        let usage = usage::rest(run.usage(), run.reported);
        if run.stopped_by_guard() {
            let counter = &self.shared.counters.guard_stops;
            counter.fetch_add(1, Ordering::Relaxed);
            self.sender.progress().guard_stopped();
        }
        drop(run);
        let again = self.answer.end(Ok(FinishReason::Stop), usage);
        self.answer.flush().await;
        let Some((messages, mut turn)) = again.and_then(|it| Some((it, self.so_far()?))) else {
            return NextStep::End;
        };
        turn.messages.extend(messages);
        self.answer.restart(&turn);
        NextStep::Start(Box::new(turn))
    }

    /// The conversation, with the calls that were executed here.
    pub(super) fn so_far(&mut self) -> Option<Turn> {
        match &self.hands {
            Hands::Server(work) => Some(work.turn().clone()),
            Hands::Client => self.kept.take(),
        }
    }

    /// Ends the answer with an error.
    pub(super) async fn failed(&mut self, error: TurnError) -> NextStep {
        self.shared.runs.forget(self.feed);
        let error = self.hidden(error);
        self.answer.end(Err(error), None);
        self.sent().await
    }

    /// The error without the caller's key, which an agent may repeat.
    pub(super) fn hidden(&self, error: TurnError) -> TurnError {
        match &self.key {
            Some(key) => TurnError {
                message: key.hidden_in(error.message),
                ..error
            },
            None => error,
        }
    }

    /// Sends what is left of the answer.
    pub(super) async fn sent(&mut self) -> NextStep {
        self.answer.flush().await;
        NextStep::End
    }

    /// The turn for the next of its fallback models, if the last one's limit is reached and the
    /// client has seen nothing of it.
    pub(super) fn fall_back(&mut self, error: &TurnError) -> Option<Turn> {
        self.answer
            .fall_back(error, &mut self.kept, self.sender.progress())
    }
}
