//! Streamed answers.
//!
//! Headers wait until it is known whether the turn can begin at all, so that a login, quota or
//! model error is a real status and not a 200 with an error inside.

use std::{
    future::Future as _,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::Stream;
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use warp::{Reply as _, reply::Response};

use super::{choices::Choices, reply};
use crate::{
    dialect::Reply,
    dump::{Dump, DumpPart},
    engine::{Phase, TurnProgress},
    turn::{Delta, TurnEnd, TurnError, TurnEvent},
};

/// How long headers wait for the agent's first event. It takes 1 to 8 s to start.
const HOLD: Duration = Duration::from_secs(10);

/// How long they wait after that for something to show: some refusals follow the first event.
const HOLD_STARTED: Duration = Duration::from_secs(1);

/// How long a stream may be silent before a comment is sent.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How much is written at once if a client falls behind.
const COALESCE: usize = 32 * 1024;

/// About the length of a frame with a few words of text, in bytes.
const FRAME: usize = 256;

/// Answers with a stream.
///
/// # Errors
/// The turn's failure, if it failed before it had anything to show.
pub async fn stream(
    events: Choices,
    reply: Box<dyn Reply>,
    dump: Option<Dump>,
) -> Result<Response, TurnError> {
    let mut body = SseBody {
        events,
        reply: Some(reply),
        frames: Vec::new(),
        dump,
        last: Instant::now(),
        heartbeat: Box::pin(sleep(HEARTBEAT)),
    };
    let hold = hold(body.events.progress());
    tokio::pin!(hold);
    while body.frames.is_empty() {
        let batch = tokio::select! {
            batch = body.events.next() => batch,
            () = &mut hold => break,
        };
        let Some((choice, batch)) = batch else { break };
        if let [.., TurnEvent::End(end)] = &batch[..]
            && !batch.iter().any(is_delta)
            && let Err(error) = &end.outcome
            && !body
                .reply
                .as_ref()
                .is_some_and(|reply| reply.streams_failure(error))
        {
            return Err(error.clone());
        }
        body.encode(choice, &batch);
    }
    let content_type = body.reply.as_ref().map(|reply| reply.content_type());
    let mut response = warp::reply::stream(body).into_response();
    let headers = [
        ("content-type", content_type.unwrap_or("text/event-stream")),
        ("cache-control", "no-cache"),
        // Keeps reverse proxies from collecting the stream before they pass it on.
        ("x-accel-buffering", "no"),
    ];
    reply::set(&mut response, headers);
    Ok(response)
}

/// Waits until headers can't wait any longer.
async fn hold(turns: Vec<Arc<TurnProgress>>) {
    let last = Instant::now() + HOLD;
    loop {
        let started = turns.iter().filter_map(|turn| turn.reached(Phase::Started));
        let started = started.min().map(|at| Instant::from_std(at) + HOLD_STARTED);
        let (until, now) = (started.unwrap_or(last), Instant::now());
        if until <= now {
            return;
        }
        // Nothing tells it that a turn has started: it looks before it could be late.
        sleep_until(until.min(now + HOLD_STARTED)).await;
    }
}

fn is_delta(event: &TurnEvent) -> bool {
    matches!(event, TurnEvent::Delta(delta) if !matches!(delta, Delta::Activity(_)))
}

/// The body of a streamed answer. Dropping it, as the server does when the client hangs up,
/// cancels the turn.
struct SseBody {
    events: Choices,
    /// Taken at the end of the turn.
    reply: Option<Box<dyn Reply>>,
    /// Encoded and not yet handed out.
    frames: Vec<u8>,
    dump: Option<Dump>,
    /// When something was last handed out.
    last: Instant,
    /// Set for a time at which `last` may be long ago, not for each frame: setting it takes a lock
    /// that all timers share.
    heartbeat: Pin<Box<Sleep>>,
}

impl SseBody {
    fn encode(&mut self, choice: usize, batch: &[TurnEvent]) {
        let Some(reply) = &mut self.reply else {
            return;
        };
        reply.choose(choice);
        self.frames.reserve(batch.len() * FRAME);
        for event in batch {
            match event {
                TurnEvent::Delta(delta) => reply.delta(delta, &mut self.frames),
                TurnEvent::End(end) => return self.end(end),
            }
        }
    }

    fn end(&mut self, end: &TurnEnd) {
        match (self.events.end(end), &end.outcome) {
            (Some(end), _) => {
                if let Some(reply) = self.reply.take() {
                    reply.end(&end, &mut self.frames);
                }
            }
            (None, Ok(reason)) => {
                if let Some(reply) = &mut self.reply {
                    reply.end_choice(reason, &mut self.frames);
                }
            }
            (None, Err(_)) => {}
        }
    }
}

impl Stream for SseBody {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        // Several batches are waiting if the client is slow: they are written at once.
        while this.reply.is_some() && this.frames.len() < COALESCE {
            match this.events.poll_next(cx) {
                Poll::Ready(Some((choice, batch))) => this.encode(choice, &batch),
                Poll::Ready(None) => this.reply = None,
                Poll::Pending => break,
            }
        }
        if !this.frames.is_empty() {
            this.last = Instant::now();
            this.events.sent(this.frames.len());
            if let Some(dump) = &this.dump {
                dump.write(DumpPart::Response, &this.frames);
            }
            return Poll::Ready(Some(Ok(std::mem::take(&mut this.frames).into())));
        }
        let Some(reply) = &this.reply else {
            return Poll::Ready(None);
        };
        while this.heartbeat.as_mut().poll(cx).is_ready() {
            let silent = this.last.elapsed() >= HEARTBEAT;
            if silent {
                this.last = Instant::now();
            }
            this.heartbeat.as_mut().reset(this.last + HEARTBEAT);
            if silent {
                return Poll::Ready(Some(Ok(Bytes::from_static(reply.heartbeat()))));
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use http_body_util::BodyExt as _;
    use warp::http::{HeaderMap, Method};

    use super::{super::record::Record, *};
    use crate::{
        dialect::{self, COMMENT, PathTarget, Stamp},
        engine::TurnStream,
        turn::{ErrorKind, FinishReason},
    };

    fn reply() -> Box<dyn Reply> {
        let stamp = Stamp {
            id: "1".to_owned(),
            created: 1,
            owner: None,
        };
        let body = br#"{"messages": [{"role": "user", "content": "hi"}]}"#;
        dialect::all(0)[0]
            .decode(body, PathTarget::default(), stamp)
            .unwrap()
            .reply
    }

    fn choices(stream: TurnStream) -> Choices {
        let record = Record::new(&Method::POST, "/", &HeaderMap::new(), None, Arc::default());
        Choices::new(vec![stream], record, None)
    }

    async fn frame(response: &mut Response) -> String {
        let frame = response.body_mut().frame().await.unwrap().unwrap();
        String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_waits_shows_that_it_lives() {
        let (sender, events) = TurnStream::channel();
        let begun = Instant::now();
        let mut response = stream(choices(events), reply(), None).await.unwrap();
        assert_eq!(begun.elapsed(), HOLD);
        for count in 1..=3 {
            assert_eq!(frame(&mut response).await.as_bytes(), COMMENT);
            assert_eq!(begun.elapsed(), HEARTBEAT * count);
        }
        let text = Delta::Text("at last".to_owned());
        assert!(sender.send(vec![TurnEvent::Delta(text)]).await);
        assert!(frame(&mut response).await.contains("at last"));
        let said = Instant::now();
        assert_eq!(frame(&mut response).await.as_bytes(), COMMENT);
        assert_eq!(said.elapsed(), HEARTBEAT);
        let end = TurnEnd::finished(FinishReason::Stop, None);
        assert!(sender.send(vec![TurnEvent::End(Box::new(end))]).await);
        assert!(frame(&mut response).await.ends_with("data: [DONE]\n\n"));
        assert!(response.body_mut().frame().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_within_the_hold_is_a_status() {
        let (sender, events) = TurnStream::channel();
        let fail = async {
            sleep(HOLD - Duration::from_secs(1)).await;
            let error = TurnError::new(ErrorKind::RateLimit, "busy");
            let end = TurnEvent::End(Box::new(TurnEnd::failed(error)));
            assert!(sender.send(vec![end]).await);
        };
        let (response, ()) = tokio::join!(stream(choices(events), reply(), None), fail);
        assert_eq!(response.unwrap_err().kind, ErrorKind::RateLimit);
    }
}
