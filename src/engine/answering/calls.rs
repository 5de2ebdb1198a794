//! What becomes of the calls that a run asks for.

use std::sync::atomic::Ordering;

use tokio::time::timeout_at;

use super::{Answering, NextStep, is_kept};
use crate::{
    boundary::{ReadyCall, Source},
    engine::{failure::over_time, hands::Hands, run::Run, usage},
    turn::{FinishReason, Message, Part, Role, ToolCall, Usage},
};

impl Answering<'_> {
    /// The run asks for calls: ours are executed, the client's end the answer.
    pub(super) async fn calls(&mut self, mut run: Run, calls: Vec<ReadyCall>) -> NextStep {
        let recovered = calls.iter().filter(|call| call.source == Source::Text);
        let recovered = recovered.count() as u64;
        let counter = &self.shared.counters.recovered;
        counter.fetch_add(recovered, Ordering::Relaxed);
        let waits = run.waits_for(&calls);
        let calls = match waits {
            true => run.new_calls(),
            false => calls.into_iter().map(|ready| ready.call).collect(),
        };
        let (ours, theirs) = self.hands.split(calls);
        if ours.is_empty() {
            return self.give(Some(run), waits, theirs).await;
        }
        let mut run = Some(run);
        if !waits {
            // Nothing of it continues, so its agent need not live on either.
            self.permit = run.take().and_then(|mut run| run.release_permit());
        }
        let Hands::Server(work) = &mut self.hands else {
            return NextStep::End;
        };
        if let Some(why) = work.limit() {
            self.answer.explain(&why);
            self.answer.end(Ok(FinishReason::Stop), None);
            return self.sent().await;
        }
        let deadline = self.shared.config.budgets.deadline(self.begun);
        let done = match timeout_at(deadline, work.execute(ours, &mut self.answer)).await {
            Ok(Some(done)) => done,
            Ok(None) => return NextStep::End,
            Err(_) => return self.failed(over_time(self.begun.elapsed())).await,
        };
        if let Some(run) = &mut run {
            run.answer(work.turn(), done, work.hint().as_slice());
        }
        if !theirs.is_empty() {
            let owner = self.terms.owner().map(str::to_owned);
            self.shared.rounds.keep(owner, &theirs, work.rounds());
            return self.give(run, waits, theirs).await;
        }
        match run {
            Some(run) => NextStep::Borrow(Box::new(run)),
            None => {
                let turn = work.turn().clone();
                self.answer.another_run(&turn);
                NextStep::Start(Box::new(turn))
            }
        }
    }

    /// Ends the answer with calls of the client's tools. The run is parked if it waits for them.
    pub(super) async fn give(
        &mut self,
        run: Option<Run>,
        waits: bool,
        calls: Vec<ToolCall>,
    ) -> NextStep {
        let usage = run
            .as_ref()
            .and_then(|run| usage::rest(run.usage(), run.reported));
        let Some(mut run) = run.filter(|_| waits) else {
            self.answer.calls(calls);
            self.answer.end(Ok(FinishReason::ToolCalls), usage);
            return self.sent().await;
        };
        let due = run.calls_due(self.parallel);
        self.park(run, due, usage).await
    }

    /// Ends the answer with these calls and lets the run wait for their results, before the client can
    /// come back.
    pub(super) async fn park(
        &mut self,
        mut run: Run,
        calls: Vec<ToolCall>,
        usage: Option<Usage>,
    ) -> NextStep {
        self.answer.calls(calls.clone());
        self.answer.end(Ok(FinishReason::ToolCalls), usage);
        run.report(self.answer.usage());
        let said = self.answer.take_said();
        let turn = self.asked.take().or_else(|| self.kept.take());
        let turn = turn.filter(is_kept);
        let turn = turn.zip(said).map(|(mut turn, said)| {
            let text = (!said.is_empty()).then_some(Part::Text(said));
            let calls = calls.into_iter().map(Part::ToolCall);
            let parts = text.into_iter().chain(calls).collect();
            turn.messages.push(Message::of(Role::Assistant, parts));
            turn
        });
        let (terms, fingerprint) = (self.terms.clone(), self.fingerprint.clone());
        self.shared.runs.park(run, terms, fingerprint, turn);
        self.sent().await
    }
}
