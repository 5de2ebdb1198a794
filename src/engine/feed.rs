//! Where the events of an answer go: to the client that asked and, where the same request may come
//! again, to a recording that others join.
//!
//! A tool result is never given to an agent twice. So the answer to a request that brought results
//! is kept for a while: a retry gets it again from its begin, also while it is still being given.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use futures::future::join_all;
use tokio::{sync::Notify, time::sleep};

use super::{progress::Phase, stream::Sender};
use crate::{
    threads::lock,
    turn::{Delta, TurnEvent},
};

/// What a recording may hold, in bytes of text. A longer answer can't be given again.
const MOST: usize = 1 << 20;

/// How long an answer continues without a listener: a client that retries comes back within that.
const GRACE: Duration = Duration::from_secs(2);

/// Where an answer goes.
pub(super) enum Feed {
    /// To one client.
    Direct(Sender),
    /// To all that ask for it.
    Recorded(Arc<Recording>),
}

impl Feed {
    /// The agent has begun to work.
    pub fn started(&self) {
        match self {
            Self::Direct(sender) => sender.progress().reach(Phase::Started),
            Self::Recorded(recording) => recording.started(),
        }
    }

    /// Hands a batch on. False if nobody listens any more.
    pub async fn send(&self, batch: Vec<TurnEvent>) -> bool {
        match self {
            Self::Direct(sender) => sender.send(batch).await,
            Self::Recorded(recording) => {
                recording.send(batch).await;
                true
            }
        }
    }

    /// Waits until nobody listens any more, and nobody comes back.
    pub async fn closed(&self) {
        match self {
            Self::Direct(sender) => sender.closed().await,
            Self::Recorded(recording) => recording.closed().await,
        }
    }
}

/// An answer that several requests may get.
#[derive(Debug)]
pub(super) struct Recording {
    state: Mutex<FeedState>,
    /// Somebody joined, or it was given up.
    changed: Notify,
}

#[derive(Debug)]
struct FeedState {
    started: bool,
    events: Vec<TurnEvent>,
    bytes: usize,
    listeners: Vec<Sender>,
    /// How long it continues without a listener.
    patience: Duration,
}

impl Recording {
    /// A recording for its first listener.
    pub fn new(listener: Sender) -> Self {
        Self::with(vec![listener], GRACE)
    }

    /// A recording whose first listener comes within this time.
    pub fn unread(patience: Duration) -> Self {
        Self::with(Vec::new(), patience)
    }

    fn with(listeners: Vec<Sender>, patience: Duration) -> Self {
        Self {
            state: Mutex::new(FeedState {
                started: false,
                events: Vec::new(),
                bytes: 0,
                listeners,
                patience,
            }),
            changed: Notify::new(),
        }
    }

    /// Nobody will come for it.
    pub fn give_up(&self) {
        self.lock().patience = Duration::ZERO;
        self.changed.notify_waiters();
    }

    /// Whether it ended with an error.
    pub fn has_failed(&self) -> bool {
        matches!(self.lock().events.last(), Some(TurnEvent::End(end)) if end.outcome.is_err())
    }

    /// Whether another listener can get all of it.
    pub fn is_whole(&self) -> bool {
        self.lock().bytes <= MOST
    }

    /// Gives a listener all that there is, and all that follows.
    pub fn join(&self, listener: Sender) {
        let mut state = self.lock();
        state.patience = state.patience.min(GRACE);
        if state.started {
            listener.progress().reach(Phase::Started);
        }
        if !state.events.is_empty() {
            listener.begin(state.events.clone());
        }
        if !matches!(state.events.last(), Some(TurnEvent::End(_))) {
            state.listeners.push(listener);
        }
        drop(state);
        self.changed.notify_waiters();
    }

    fn started(&self) {
        let mut state = self.lock();
        state.started = true;
        for listener in &state.listeners {
            listener.progress().reach(Phase::Started);
        }
    }

    async fn send(&self, batch: Vec<TurnEvent>) {
        let size = batch.iter().map(size).sum::<usize>();
        self.has_room(size).await;
        let listeners = {
            let mut state = self.lock();
            state.bytes += size;
            if state.bytes <= MOST {
                state.events.extend(batch.iter().cloned());
            } else {
                state.events = Vec::new();
            }
            state.listeners.retain(|listener| !listener.is_closed());
            state.listeners.clone()
        };
        join_all(listeners.iter().map(|to| to.send(batch.clone()))).await;
        if matches!(batch.last(), Some(TurnEvent::End(_))) {
            self.lock().listeners.clear();
        }
    }

    /// Waits until there is room for this: what nobody has read yet is not dropped.
    async fn has_room(&self, size: usize) {
        loop {
            let changed = self.changed.notified();
            {
                let state = self.lock();
                if state.bytes + size <= MOST || state.patience <= GRACE {
                    return;
                }
            }
            changed.await;
        }
    }

    async fn closed(&self) {
        loop {
            let changed = self.changed.notified();
            let (listeners, patience) = {
                let state = self.lock();
                (state.listeners.clone(), state.patience)
            };
            join_all(listeners.iter().map(Sender::closed)).await;
            tokio::select! {
                () = changed => {}
                () = sleep(patience) => {
                    if self.lock().listeners.iter().all(Sender::is_closed) {
                        return;
                    }
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, FeedState> {
        lock(&self.state)
    }
}

/// About what an event takes.
fn size(event: &TurnEvent) -> usize {
    let text = match event {
        TurnEvent::Delta(Delta::Text(text) | Delta::Reasoning(text)) => text.len(),
        TurnEvent::Delta(Delta::ToolCall(call)) => call.name.len() + call.arguments.len(),
        _ => 0,
    };
    text + size_of::<TurnEvent>()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{
        engine::TurnStream,
        turn::{FinishReason, TurnEnd},
    };

    fn text(text: &str) -> TurnEvent {
        TurnEvent::Delta(Delta::Text(text.to_owned()))
    }

    fn end() -> TurnEvent {
        TurnEvent::End(Box::new(TurnEnd::finished(FinishReason::Stop, None)))
    }

    async fn all(mut stream: TurnStream) -> Vec<TurnEvent> {
        let mut events = Vec::new();
        while let Some(batch) = stream.next().await {
            events.extend(batch);
        }
        events
    }

    #[tokio::test]
    async fn whoever_joins_gets_all_of_it() {
        let (first, one) = TurnStream::channel();
        let recording = Recording::new(first);
        let one = tokio::spawn(all(one));
        recording.send(vec![text("a")]).await;
        recording.started();
        let (second, two) = TurnStream::channel();
        recording.join(second);
        assert!(two.progress().reached(Phase::Started).is_some());
        let two = tokio::spawn(all(two));
        recording.send(vec![text("b"), end()]).await;
        let whole = [text("a"), text("b"), end()];
        assert_eq!(one.await.unwrap(), whole);
        assert_eq!(two.await.unwrap(), whole);
        let (late, three) = TurnStream::channel();
        recording.join(late);
        assert_eq!(all(three).await, whole);
    }

    #[tokio::test]
    async fn what_is_kept_is_bounded() {
        let (first, one) = TurnStream::channel();
        let recording = Recording::new(first);
        let one = tokio::spawn(all(one));
        for _ in 0..3 {
            recording.send(vec![text(&"x".repeat(MOST / 2))]).await;
        }
        recording.send(vec![end()]).await;
        assert!(!recording.is_whole());
        assert!(recording.lock().events.is_empty());
        assert_eq!(one.await.unwrap().len(), 4, "who listens loses nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_closed_when_nobody_comes_back() {
        let (first, one) = TurnStream::channel();
        let recording = Arc::new(Recording::new(first));
        let closed = tokio::spawn({
            let recording = Arc::clone(&recording);
            async move { recording.closed().await }
        });
        drop(one);
        sleep(GRACE / 2).await;
        let (second, two) = TurnStream::channel();
        recording.join(second);
        sleep(GRACE * 2).await;
        assert!(!closed.is_finished(), "somebody came back");
        drop(two);
        closed.await.unwrap();
    }
}
