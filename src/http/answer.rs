//! Answers one request of any dialect.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::{Buf, Bytes};
use futures::{
    Stream,
    future::{try_join, try_join_all},
};
use warp::{
    http::{HeaderMap, StatusCode},
    reply::Response,
};

use super::{App, body, reply, sse};
use crate::{
    dialect::{Compute, Dialect, Stamp, Target},
    dump::{Dump, Part},
    engine::TurnStream,
    turn::{Collected, ErrorKind, Turn, TurnError, TurnEvent},
};

/// Bodies above this are decoded off the runtime's threads.
const LARGE: usize = 256 * 1024;

/// Reads the request, runs the turn and answers.
pub async fn answer<B: Buf>(
    app: &App,
    dialect: Arc<dyn Dialect>,
    target: Target,
    headers: &HeaderMap,
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Result<Response, TurnError> {
    body::check_headers(headers)?;
    let body = body::read(headers, body).await?;
    let stamp = stamp();
    let dump = app.config().dumps.as_ref();
    let dump = dump.map(|dumps| dumps.turn(&stamp.id));
    if let Some(dump) = &dump {
        dump.write(Part::Request, &body);
    }
    let result = run(
        app,
        Arc::clone(&dialect),
        target,
        headers,
        body,
        stamp,
        dump.as_ref(),
    )
    .await;
    if let (Err(error), Some(dump)) = (&result, dump) {
        dump.line(Part::Response, &dialect.error(error));
    }
    result
}

async fn run(
    app: &App,
    dialect: Arc<dyn Dialect>,
    target: Target,
    headers: &HeaderMap,
    body: Bytes,
    stamp: Stamp,
    dump: Option<&Dump>,
) -> Result<Response, TurnError> {
    let request = off_runtime(body.len(), move || dialect.decode(&body, target, stamp)).await?;
    let header = |name: &str| {
        let value = headers.get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let workspace = header("x-cursor-workspace");
    let conversation = header("x-session-id");
    let start = |mut turn: Turn, dump: Option<Dump>| {
        if workspace.is_some() {
            turn.workspace.clone_from(&workspace);
        }
        turn.conversation.clone_from(&conversation);
        app.engine().start(turn, dump)
    };
    let first = start(request.turn, dump.cloned());
    let others = request.others.into_iter();
    let others: Vec<TurnStream> = others.map(|turn| start(turn, None)).collect();
    let mut response = if request.stream {
        let events = std::iter::once(first).chain(others).collect::<Vec<_>>();
        sse::stream(events, request.reply, dump.cloned()).await?
    } else {
        let others = try_join_all(others.into_iter().map(collect));
        let (first, others) = try_join(collect(first), others).await?;
        let whole = request.reply.whole(&first, &others);
        if let Some(dump) = dump {
            dump.line(Part::Response, &whole);
        }
        reply::json(StatusCode::OK, whole)
    };
    reply::say_ignored(&mut response, &request.ignored);
    Ok(response)
}

/// Answers a request that needs no model.
pub async fn compute<B: Buf>(
    compute: Compute,
    headers: &HeaderMap,
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Result<Response, TurnError> {
    body::check_headers(headers)?;
    let body = body::read(headers, body).await?;
    let answer = off_runtime(body.len(), move || compute(&body)).await?;
    Ok(reply::json(StatusCode::OK, answer))
}

/// Does the work of a request of `len` bytes.
async fn off_runtime<T: Send + 'static>(
    len: usize,
    work: impl FnOnce() -> Result<T, TurnError> + Send + 'static,
) -> Result<T, TurnError> {
    if len < LARGE {
        return work();
    }
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
        Err(TurnError::new(
            ErrorKind::Internal,
            "open-cursor failed while it read this request; its log says more",
        ))
    })
}

async fn collect(mut events: TurnStream) -> Result<Collected, TurnError> {
    let mut answer = Collected::empty();
    while let Some(batch) = events.next().await {
        for event in batch {
            match event {
                TurnEvent::Started => {}
                TurnEvent::Delta(delta) => answer.push(delta),
                TurnEvent::End(end) => {
                    answer.finish_reason = end.outcome?;
                    answer.usage = end.usage;
                    answer.lost_changes = end.lost_changes;
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
