//! One request as the log and the metrics see it: who asked for what, when, and how it ended. It is
//! logged and counted when its last clone is dropped.
//!
//! It contains no prompt, no answer and no path of the user's files.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tracing::{Span, field::Empty};
use warp::http::{HeaderMap, Method, StatusCode, header};

use super::metrics::Metrics;
use crate::{
    dialect::Stamp,
    engine::RunOrigin,
    turn::{Delta, ErrorKind, FinishReason, Turn, TurnEnd, TurnError, TurnEvent, Usage},
};

/// The header with a request's id, in requests and answers.
pub(super) const ID_HEADER: &str = "x-request-id";

/// The longest id or name of a client's that is kept, in bytes.
const LONGEST: usize = 128;

/// One request, shared by all that work on it.
#[derive(Clone)]
pub(super) struct Record(Arc<RecordShared>);

struct RecordShared {
    id: String,
    stamp: Stamp,
    begun: Instant,
    method: Method,
    path: String,
    client: String,
    /// Disabled for requests that no model answers.
    span: Span,
    metrics: Arc<Metrics>,
    facts: Mutex<Facts>,
}

/// The facts that are found while the request is answered. Times are since its head was read.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// Of the dialect, if a model is to answer.
    pub dialect: Option<&'static str>,
    pub model: String,
    /// Where the answer comes from, once that is decided.
    pub origin: Arc<OnceLock<RunOrigin>>,
    /// `None`: the client was gone before there was one.
    pub status: Option<StatusCode>,
    pub first_event: Option<Duration>,
    pub first_delta: Option<Duration>,
    pub total: Duration,
    pub deltas: u64,
    pub calls: u64,
    /// `None`: the client was gone before the end.
    pub outcome: Option<Result<FinishReason, TurnError>>,
    pub usage: Option<Usage>,
    /// Asked for by programs all day: not worth a line.
    quiet: bool,
}

impl Record {
    /// A request whose head has just been read. `dialect` is its name, if a model is to answer.
    pub fn new(
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        dialect: Option<&'static str>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let stamp = stamp();
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
        Self(Arc::new(RecordShared {
            id,
            stamp,
            begun: Instant::now(),
            method: method.clone(),
            path: printable(path),
            client,
            span,
            metrics,
            facts: Mutex::new(Facts {
                dialect,
                ..Facts::default()
            }),
        }))
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

    /// Records the turn's model and conversation.
    pub fn asks(&self, turn: &Turn) {
        let model = printable(&turn.model);
        self.0.span.record("model", &model);
        if let Some(conversation) = &turn.conversation {
            self.0.span.record("conversation", printable(conversation));
        }
        self.facts().model = model;
    }

    /// Records where the answer will be found to come from.
    pub fn follow(&self, origin: Arc<OnceLock<RunOrigin>>) {
        self.facts().origin = origin;
    }

    /// Leaves the request out of the log.
    pub fn quiet(&self) {
        self.facts().quiet = true;
    }

    /// Records events of the turn when they arrive.
    pub fn see(&self, events: &[TurnEvent]) {
        let mut facts = self.facts();
        for event in events {
            match event {
                TurnEvent::Started => {
                    facts
                        .first_event
                        .get_or_insert_with(|| self.0.begun.elapsed());
                }
                TurnEvent::Delta(delta) => {
                    facts
                        .first_delta
                        .get_or_insert_with(|| self.0.begun.elapsed());
                    facts.deltas += 1;
                    facts.calls += u64::from(matches!(delta, Delta::ToolCall(_)));
                }
                TurnEvent::End(_) => {}
            }
        }
    }

    /// Records the end of the turn.
    pub fn end(&self, end: &TurnEnd) {
        let mut facts = self.facts();
        facts.outcome = Some(end.outcome.clone());
        facts.usage = end.usage;
    }

    /// Records why there is no answer.
    pub fn fail(&self, error: &TurnError) {
        self.facts().outcome = Some(Err(error.clone()));
    }

    /// Records the status that is sent.
    pub fn status(&self, status: StatusCode) {
        self.facts().status = Some(status);
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.0.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RecordShared {
    fn drop(&mut self) {
        let facts = self.facts.get_mut().unwrap_or_else(PoisonError::into_inner);
        facts.total = self.begun.elapsed();
        let facts = std::mem::take(facts);
        self.metrics.count(&facts);
        if !facts.quiet {
            self.log(&facts);
        }
    }
}

impl RecordShared {
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
        let usage = facts.usage;
        tracing::info!(
            parent: &self.span,
            status,
            run = facts.run(),
            finish = facts.finish(),
            first_event_ms = facts.first_event.map(millis),
            first_delta_ms = facts.first_delta.map(millis),
            total_ms,
            deltas = facts.deltas,
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

impl Facts {
    /// The run of the agent that answered: `fresh`, `resumed`, `replayed` or `none`.
    pub fn run(&self) -> &'static str {
        self.origin.get().map_or("none", |origin| origin.name())
    }

    /// How the turn ended, in one word.
    pub fn finish(&self) -> &'static str {
        match &self.outcome {
            Some(Ok(FinishReason::Stop)) => "stop",
            Some(Ok(FinishReason::ToolCalls)) => "tool_calls",
            Some(Ok(FinishReason::Length)) => "length",
            Some(Ok(FinishReason::StopSequence(_))) => "stop_sequence",
            Some(Err(_)) => "error",
            None => "hung_up",
        }
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

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The client's own id, if it is fit for a file name and a line of the log.
fn sane_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(ID_HEADER)?.to_str().ok()?;
    let is_sane = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    ((1..=LONGEST).contains(&id.len()) && id.bytes().all(is_sane)).then(|| id.to_owned())
}

/// The first product that `User-Agent` names, such as `opencode/1.0.3`; else `unknown`.
fn client(headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT);
    let agent = agent
        .and_then(|agent| agent.to_str().ok())
        .unwrap_or_default();
    let product = agent.split_ascii_whitespace().next().unwrap_or("unknown");
    printable(product)
}

/// Text from a client, made fit for the log: one line, and short.
fn printable(text: &str) -> String {
    let shown = |c: char| if c.is_control() { '?' } else { c };
    text.chars().take(LONGEST).map(shown).collect()
}

/// Unique among the answers of all servers: the time in nanoseconds, and a counter.
fn stamp() -> Stamp {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    Stamp {
        id: format!("{:x}{count:04x}", now.as_nanos()),
        created: now.as_secs(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

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
