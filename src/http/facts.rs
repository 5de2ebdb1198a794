//! What is found of a request while it is answered.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use warp::http::StatusCode;

use crate::{
    engine::{Phase, TurnProgress},
    history::{LedgerRow, PhaseTimes},
    models::price_of,
    turn::{Delta, FinishReason, Role, Turn, TurnError, TurnEvent, Usage},
};

/// How many tools of one turn are counted by name.
const TOOLS: usize = 64;

/// The longest name of a tool that is kept, in characters.
const NAME: usize = 64;

/// The facts. Times are since the request's head was read.
#[derive(Debug, Default)]
pub(super) struct Facts {
    begun: Option<Instant>,
    /// Of the dialect, if a model is to answer.
    pub dialect: Option<&'static str>,
    /// What the history has of it in the same words.
    pub row: LedgerRow,
    /// How far the turn is.
    pub progress: Arc<TurnProgress>,
    /// `None`: the client was gone before there was one.
    pub status: Option<StatusCode>,
    first_delta: Option<Duration>,
    first_call: Option<Duration>,
    pub total: Duration,
    /// Calls that the client was given.
    pub calls: u64,
    /// `None`: the client was gone before the end.
    pub outcome: Option<Result<FinishReason, TurnError>>,
    pub usage: Option<Usage>,
    /// Asked for by programs all day: not worth a line.
    pub quiet: bool,
}

impl Facts {
    /// Of a request whose head has just been read.
    pub fn of(dialect: Option<&'static str>, begun: Instant) -> Self {
        Self {
            begun: Some(begun),
            dialect,
            ..Self::default()
        }
    }

    /// Counts the results at the end of the conversation.
    pub fn brings(&mut self, turn: &Turn) {
        let from = turn
            .messages
            .iter()
            .rposition(|m| m.role == Role::Assistant);
        let Some((calls, results)) = from.map(|at| turn.messages.split_at(at + 1)) else {
            return;
        };
        let last = calls.last().into_iter();
        let names: Vec<_> = last
            .flat_map(|message| message.tool_calls())
            .map(|call| (call.id.as_str(), call.name.as_str()))
            .collect();
        for result in results.iter().flat_map(|message| message.tool_results()) {
            let called = names.iter().find(|(id, _)| *id == result.call_id);
            let name = called.map(|(_, name)| *name).or(result.name.as_deref());
            let outcome = if result.is_error {
                "failed"
            } else {
                "returned"
            };
            self.count(name.unwrap_or("unknown"), outcome);
        }
    }

    /// Notes an event of the answer.
    pub fn see(&mut self, event: &TurnEvent, begun: Instant) {
        let now = || begun.elapsed();
        match event {
            TurnEvent::Delta(delta) => {
                self.first_delta.get_or_insert_with(now);
                self.row.deltas += 1;
                match delta {
                    Delta::ToolCall(call) => {
                        self.first_call.get_or_insert_with(now);
                        self.calls += 1;
                        self.count(&call.name, "called");
                    }
                    Delta::Activity(activity) => {
                        // The agent's words are its own, and labels are few.
                        let outcome = match activity.outcome.as_str() {
                            "success" => "ran",
                            "rejected" => "rejected",
                            _ => "ran_and_failed",
                        };
                        self.count(&activity.tool, outcome);
                    }
                    Delta::Text(_) | Delta::Reasoning(_) => {}
                }
            }
            TurnEvent::End(_) => {}
        }
    }

    fn count(&mut self, tool: &str, outcome: &str) {
        let shown = |c: char| if c.is_control() { '?' } else { c };
        let mut name: String = tool.chars().take(NAME).map(shown).collect();
        let tools = &mut self.row.tools;
        if tools.len() >= TOOLS && !tools.contains_key(&name) {
            "other".clone_into(&mut name);
        }
        let outcomes = tools.entry(name).or_default();
        *outcomes.entry(outcome.to_owned()).or_default() += 1;
    }

    /// What the turn does now, in one word.
    pub fn step(&self) -> &'static str {
        let reached = |phase| self.progress.reached(phase).is_some();
        match () {
            () if self.outcome.is_some() => "ending",
            () if self.first_call.is_some() => "calling",
            () if self.first_delta.is_some() => "answering",
            () if reached(Phase::Started) => "thinking",
            () if self.progress.parked().is_some() => "thinking",
            () if reached(Phase::Spawned) => "starting",
            () if reached(Phase::Admitted) => "preparing",
            () => "queued",
        }
    }

    /// When each phase was reached, by the names that the metrics have for them.
    pub fn phases(&self) -> [(&'static str, Option<Duration>); 7] {
        let reached = |phase| {
            let at = self.progress.reached(phase)?;
            Some(at.saturating_duration_since(self.begun?))
        };
        [
            ("queued", reached(Phase::Admitted)),
            ("slot", reached(Phase::Placed)),
            ("spawn", reached(Phase::Spawned)),
            ("first_event", reached(Phase::Started)),
            ("first_delta", self.first_delta),
            ("tools", self.first_call),
            ("total", Some(self.total)),
        ]
    }

    /// The same for the log and the history.
    pub fn times(&self) -> PhaseTimes {
        let [queued, slot, spawn, first_event, first_delta, tools, _] =
            self.phases().map(|(_, time)| time.map(millis));
        PhaseTimes {
            queued,
            slot,
            spawn,
            first_event,
            first_delta,
            tools,
            total: millis(self.total),
            parked: self.progress.parked().map(millis),
        }
    }

    /// What the turn cost: as reported, else by the list price of its model, if that is known.
    pub fn cost(&self) -> Option<f64> {
        let usage = self.usage?;
        let by_price = || {
            let price = price_of(&self.progress.model()?)?;
            let (read, write) = (usage.cache_read, usage.cache_write);
            Some(price.cost(
                usage.input,
                usage.output,
                read.unwrap_or(0),
                write.unwrap_or(0),
            ))
        };
        usage.cost.or_else(by_price)
    }

    /// What is counted against budgets: of a turn that nobody waited for, what its request costs.
    pub fn spent(&self) -> f64 {
        let started = self.progress.reached(Phase::Spawned).is_some();
        let asked = || {
            let price = price_of(&self.progress.model()?)?;
            (started && self.usage.is_none())
                .then(|| price.cost(self.progress.asked().unwrap_or(0), 0, 0, 0))
        };
        self.cost().or_else(asked).unwrap_or(0.0)
    }

    /// The run of the agent that answered: `fresh`, `resumed`, `replayed` or `none`.
    pub fn run(&self) -> &'static str {
        self.progress
            .origin()
            .map_or("none", |origin| origin.name())
    }

    /// How the turn ended, in one word.
    pub fn finish(&self) -> &'static str {
        match &self.outcome {
            Some(Ok(_)) if self.progress.stopped_by_guard() => "guard",
            Some(Ok(FinishReason::Stop)) => "stop",
            Some(Ok(FinishReason::ToolCalls)) => "tool_calls",
            Some(Ok(FinishReason::Length)) => "length",
            Some(Ok(FinishReason::StopSequence(_))) => "stop_sequence",
            Some(Err(_)) => "error",
            None => "hung_up",
        }
    }

    /// A row of the history, but for what the request itself says.
    pub fn row(self) -> LedgerRow {
        let usage = self.usage;
        let error = self.outcome.as_ref().and_then(|it| it.as_ref().err());
        let cached = usage.and_then(|usage| usage.cache_read);
        let price = || price_of(&self.progress.model()?);
        let workspace = self.progress.workspace();
        LedgerRow {
            dialect: self.dialect.unwrap_or_default().to_owned(),
            cursor_model: self.progress.model(),
            workspace: workspace.map(|dir| dir.to_string_lossy().into_owned()),
            run: self.run().to_owned(),
            status: self.status.map(|status| status.as_u16()),
            outcome: self.finish().to_owned(),
            error: error.map(|error| format!("{:?}", error.kind)),
            times: self.times(),
            input: usage.map(|usage| usage.input),
            output: usage.map(|usage| usage.output),
            cache_read: cached,
            cache_write: usage.and_then(|usage| usage.cache_write),
            estimated: usage.is_some_and(|usage| usage.estimated),
            cost: self.cost(),
            cache_saved: cached.and_then(|cached| Some(price()?.cache_saving(cached))),
            ..self.row
        }
    }
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
