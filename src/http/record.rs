//! One request as the log, the metrics and the history see it: who asked for what, when, and how it
//! ended. They are told when its last clone is dropped.
//!
//! It contains no prompt, no answer and no path of the user's files.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use tracing::{Span, field::Empty};
use warp::http::{HeaderMap, Method};

use super::{
    facts::{Facts, millis},
    listeners::Listeners,
    live::LiveTurn,
    names::{client, printable, sane_id, stamp},
};
use crate::{
    dialect::Stamp,
    history::LedgerRow,
    threads::lock,
    turn::{ErrorKind, Turn, TurnEnd, TurnError, TurnEvent},
};

/// One request, shared by all that work on it.
#[derive(Clone)]
pub(super) struct Record(Arc<RecordShared>);

pub(super) struct RecordShared {
    id: String,
    stamp: Stamp,
    begun: Instant,
    at: SystemTime,
    method: Method,
    path: String,
    client: String,
    /// Disabled for requests that no model answers.
    span: Span,
    listeners: Arc<Listeners>,
    facts: Mutex<Facts>,
    bytes_out: AtomicU64,
}

impl Record {
    /// A request whose head has just been read. `dialect` is its name, if a model is to answer.
    pub fn new(
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        dialect: Option<&'static str>,
        listeners: Arc<Listeners>,
    ) -> Self {
        let (stamp, now) = (stamp(), Instant::now());
        let id = sane_id(headers).unwrap_or_else(|| stamp.id.clone());
        let client = client(headers);
        let span = match dialect {
            // Of the highest level, so that each line that is shown at all belongs to its turn.
            Some(dialect) => {
                tracing::error_span!(
                    "turn",
                    id,
                    dialect,
                    client,
                    model = Empty,
                    conversation = Empty
                )
            }
            None => Span::none(),
        };
        let shared = Arc::new(RecordShared {
            id,
            stamp,
            begun: now,
            at: SystemTime::now(),
            method: method.clone(),
            path: printable(path),
            client,
            span,
            listeners,
            facts: Mutex::new(Facts::of(dialect, now)),
            bytes_out: AtomicU64::new(0),
        });
        if dialect.is_some() {
            shared.listeners.live.enter(&shared);
        }
        Self(shared)
    }

    /// The id that the client sent, else a new one.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// The span of the turn.
    pub fn span(&self) -> &Span {
        &self.0.span
    }

    /// The id and time for the answer.
    pub fn stamp(&self) -> Stamp {
        self.0.stamp.clone()
    }

    /// The name of the request's dump: it sorts by time and contains the id.
    pub fn dump_name(&self) -> String {
        let RecordShared { id, stamp, .. } = &*self.0;
        if *id == stamp.id {
            return id.clone();
        }
        format!("{}-{id}", stamp.id)
    }

    /// Records the turn's model and conversation, and the results that it brings.
    pub fn asks(&self, turn: &Turn) {
        let model = printable(&turn.model);
        self.0.span.record("model", &model);
        let conversation = turn.conversation.as_deref().map(printable);
        if let Some(conversation) = &conversation {
            self.0.span.record("conversation", conversation);
        }
        let mut facts = self.facts();
        facts.row.model = model;
        facts.row.conversation = conversation;
        facts.brings(turn);
    }

    /// Counts what was written of the answer's body.
    pub fn sent(&self, bytes: usize) {
        self.0.bytes_out.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// No model answers the request, whatever its path promised.
    pub fn has_no_turn(&self) {
        self.facts().dialect = None;
        self.0.listeners.live.leave(&self.0);
    }

    /// Records events of the turn when they arrive.
    pub fn see(&self, events: &[TurnEvent]) {
        let mut facts = self.facts();
        for event in events {
            facts.see(event, self.0.begun);
        }
    }

    /// Records the end of the turn.
    pub fn end(&self, end: &TurnEnd) {
        let mut facts = self.facts();
        facts.outcome = Some(end.outcome.clone());
        facts.usage = end.usage;
    }

    /// What is known of it so far.
    pub fn facts(&self) -> MutexGuard<'_, Facts> {
        lock(&self.0.facts)
    }
}

impl Drop for RecordShared {
    fn drop(&mut self) {
        let facts = self.facts.get_mut().unwrap_or_else(PoisonError::into_inner);
        facts.total = self.begun.elapsed();
        let facts = std::mem::take(facts);
        self.listeners.metrics.count(&facts);
        if facts.dialect.is_some() {
            let spending = &self.listeners.spending;
            spending.spend(facts.row.key.as_deref(), facts.spent());
            self.listeners.live.leave(self);
        }
        if !facts.quiet {
            self.log(&facts);
        }
        if let (Some(history), Some(_)) = (&self.listeners.history, facts.dialect) {
            history.append(self.row(facts));
        }
    }
}

impl RecordShared {
    /// The turn as it is now.
    pub fn live(&self) -> LiveTurn {
        let facts = lock(&self.facts);
        LiveTurn {
            id: self.id.clone(),
            since: self.since(),
            client: self.client.clone(),
            model: facts
                .progress
                .model()
                .unwrap_or_else(|| facts.row.model.clone()),
            phase: facts.step(),
        }
    }

    /// When it began, in milliseconds since 1970.
    fn since(&self) -> u64 {
        millis(self.at.duration_since(UNIX_EPOCH).unwrap_or_default())
    }

    fn row(&self, facts: Facts) -> LedgerRow {
        LedgerRow {
            at: i64::try_from(self.since()).unwrap_or(i64::MAX),
            id: self.id.clone(),
            client: self.client.clone(),
            agent: self.listeners.agent.to_owned(),
            bytes_out: self.bytes_out.load(Ordering::Relaxed),
            ..facts.row()
        }
    }

    fn log(&self, facts: &Facts) {
        let status = facts.status.map(|status| status.as_u16());
        let total_ms = millis(facts.total);
        let error = facts.outcome.as_ref().and_then(|it| it.as_ref().err());
        let failure = error.map(|error| tracing::field::debug(error.kind));
        let why = error.and_then(why);
        let why = why.as_deref();
        if facts.dialect.is_none() {
            let Self {
                id,
                method,
                path,
                client,
                ..
            } = self;
            tracing::info!(id, %method, path, client, status, total_ms, error = failure, why, "request");
            return;
        }
        let (usage, times) = (facts.usage, facts.times());
        tracing::info!(
            parent: &self.span,
            status,
            run = facts.run(),
            finish = facts.finish(),
            queued_ms = times.queued,
            slot_ms = times.slot,
            spawn_ms = times.spawn,
            first_event_ms = times.first_event,
            first_delta_ms = times.first_delta,
            tools_ms = times.tools,
            total_ms,
            deltas = facts.row.deltas,
            calls = facts.calls,
            input_tokens = usage.map(|usage| usage.input),
            output_tokens = usage.map(|usage| usage.output),
            estimated = usage.map(|usage| usage.estimated),
            error = failure,
            why,
            "request"
        );
    }
}

/// Why a request failed, without anything that may be of its prompt or its answer.
fn why(error: &TurnError) -> Option<String> {
    match error.kind {
        ErrorKind::InvalidRequest => error.param.clone(),
        ErrorKind::BadAnswer => None,
        _ => Some(error.message.chars().take(300).collect()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use warp::http::header;

    use super::*;
    use crate::http::names::ID_HEADER;

    fn record(id: &str) -> Record {
        let mut headers = HeaderMap::new();
        headers.insert(ID_HEADER, id.parse().unwrap());
        headers.insert(header::USER_AGENT, "opencode/1.2 (linux)".parse().unwrap());
        Record::new(
            &Method::POST,
            "/",
            &headers,
            Some("messages"),
            Arc::default(),
        )
    }

    #[test]
    fn a_sane_id_is_kept_and_another_is_replaced() {
        let own = record("0a_B-c.d");
        assert_eq!(own.id(), "0a_B-c.d");
        assert!(own.dump_name().ends_with("-0a_B-c.d"));
        for id in [
            "",
            "a b",
            "../../etc/passwd",
            "a/b",
            "a\"b",
            &"x".repeat(129),
        ] {
            let replaced = record(id);
            assert_eq!(replaced.id(), replaced.stamp().id, "{id}");
            assert_eq!(replaced.dump_name(), replaced.id());
        }
        assert_eq!(own.0.client, "opencode/1.2");
    }

    #[test]
    fn the_log_gets_no_text_of_a_request_or_an_answer() {
        let error = |kind| TurnError {
            param: Some("messages[0]".to_owned()),
            ..TurnError::new(kind, "secret")
        };
        assert_eq!(
            why(&error(ErrorKind::InvalidRequest)).unwrap(),
            "messages[0]"
        );
        assert_eq!(why(&error(ErrorKind::BadAnswer)), None);
        assert_eq!(why(&error(ErrorKind::Timeout)).unwrap(), "secret");
        assert_eq!(printable("a\nb\x1b[0m"), "a?b?[0m");
    }
}
