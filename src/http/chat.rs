//! Answers one request of any dialect.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::{Buf, Bytes};
use futures::Stream;
use warp::{
    http::{HeaderMap, StatusCode},
    reply::Response,
};

use super::{App, body, reply, sse};
use crate::{
    dialect::{Answer, Dialect, Request, Stamp},
    dump::{Dump, Part},
    engine::TurnStream,
    turn::{ErrorKind, TurnError, TurnEvent},
};

/// Bodies above this are decoded off the runtime's threads.
const LARGE: usize = 256 * 1024;

/// Reads the request, runs the turn and answers.
pub async fn answer<B: Buf>(
    app: &App,
    dialect: &'static dyn Dialect,
    headers: &HeaderMap,
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Result<Response, TurnError> {
    body::check_content_type(headers)?;
    let body = body::read(headers, body).await?;
    let stamp = stamp();
    let dump = app.config().dumps.as_ref();
    let dump = dump.map(|dumps| dumps.turn(&stamp.id));
    if let Some(dump) = &dump {
        dump.write(Part::Request, &body);
    }
    let result = run(app, dialect, headers, body, stamp, dump.as_ref()).await;
    if let (Err(error), Some(dump)) = (&result, dump) {
        dump.line(Part::Response, &dialect.error(error));
    }
    result
}

async fn run(
    app: &App,
    dialect: &'static dyn Dialect,
    headers: &HeaderMap,
    body: Bytes,
    stamp: Stamp,
    dump: Option<&Dump>,
) -> Result<Response, TurnError> {
    let mut request = decode(dialect, body, stamp).await?;
    if let Some(workspace) = headers.get("x-cursor-workspace") {
        let workspace = String::from_utf8_lossy(workspace.as_bytes());
        request.turn.workspace = Some(workspace.into_owned());
    }
    let events = app.engine().start(request.turn, dump.cloned());
    if request.stream {
        return sse::stream(events, request.reply, dump.cloned()).await;
    }
    let answer = collect(events).await?;
    let whole = request.reply.whole(&answer);
    if let Some(dump) = dump {
        dump.line(Part::Response, &whole);
    }
    Ok(reply::json(StatusCode::OK, whole))
}

async fn decode(
    dialect: &'static dyn Dialect,
    body: Bytes,
    stamp: Stamp,
) -> Result<Request, TurnError> {
    if body.len() < LARGE {
        return dialect.decode(&body, stamp);
    }
    tokio::task::spawn_blocking(move || dialect.decode(&body, stamp))
        .await
        .unwrap_or_else(|_| {
            Err(TurnError::new(
                ErrorKind::Internal,
                "open-cursor failed while it read this request; its log says more",
            ))
        })
}

async fn collect(mut events: TurnStream) -> Result<Answer, TurnError> {
    let mut answer = Answer::empty();
    while let Some(batch) = events.next().await {
        for event in batch {
            match event {
                TurnEvent::Started => {}
                TurnEvent::Delta(delta) => answer.push(delta),
                TurnEvent::End(end) => {
                    answer.finish_reason = end.outcome?;
                    answer.usage = end.usage;
                }
            }
        }
    }
    Ok(answer)
}

/// Unique among the answers of all servers: the start of this one in nanoseconds, and a counter.
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
