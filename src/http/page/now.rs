//! `GET /page/now`: what runs at the moment, as server-sent events: one at once, and one at each
//! change.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep},
};
use warp::{Reply as _, reply::Response};

use super::super::{App, reply};
use crate::turn::{ErrorKind, TurnError};

/// How often it is looked for a change, while somebody watches.
const TICK: Duration = Duration::from_millis(250);

/// How long the stream may be silent.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Streams the state until the client is gone or the server stops.
///
/// # Errors
/// `RateLimit`: too many watch.
pub fn watch(app: &Arc<App>) -> Result<Response, TurnError> {
    let place = app.listeners.live.watch().ok_or_else(|| TurnError {
        retry_after: Some(HEARTBEAT),
        ..TurnError::new(ErrorKind::RateLimit, "too many pages are open; close one")
    })?;
    let watcher = Watcher {
        app: Arc::clone(app),
        _place: place,
        shown: None,
        last: Instant::now(),
        over: false,
    };
    let frames = futures::stream::unfold(watcher, |mut watcher| async move {
        let frame = watcher.next().await?;
        Some((Ok::<_, Infallible>(frame), watcher))
    });
    let mut response = warp::reply::stream(frames).into_response();
    let content_type = ("content-type", "text/event-stream");
    reply::set(&mut response, [content_type, ("x-accel-buffering", "no")]);
    Ok(response)
}

struct Watcher {
    app: Arc<App>,
    _place: OwnedSemaphorePermit,
    shown: Option<Value>,
    last: Instant,
    over: bool,
}

impl Watcher {
    async fn next(&mut self) -> Option<Bytes> {
        while !self.over {
            if self.shown.is_some() {
                sleep(TICK).await;
            }
            // Else the server would wait for this stream.
            self.over = self.app.engine().is_draining();
            let now = state(&self.app);
            if self.shown.as_ref() != Some(&now) {
                self.last = Instant::now();
                let frame = format!("data: {now}\n\n");
                self.shown = Some(now);
                return Some(frame.into());
            }
            if self.last.elapsed() >= HEARTBEAT {
                self.last = Instant::now();
                return Some(Bytes::from_static(b":\n\n"));
            }
        }
        None
    }
}

fn state(app: &App) -> Value {
    let engine = app.engine();
    let parked = engine.parked_runs().into_iter().map(|run| {
        let since = run.since.duration_since(UNIX_EPOCH).unwrap_or_default();
        let since = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        json!({"model": run.model, "since": since, "calls": run.calls})
    });
    json!({
        "status": if engine.is_draining() { "stopping" } else { "ok" },
        "running": engine.running(),
        "queued": engine.queued(),
        "parked": engine.parked(),
        "parkedRuns": parked.collect::<Vec<_>>(),
        "turns": app.listeners.live.turns(),
        "ended": app.listeners.live.ended(),
        "history": app.history().and_then(|history| history.problem()),
    })
}
