//! The events of one turn, on their way to the client.

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::sync::mpsc;

use super::progress::{RunOrigin, TurnProgress};
use crate::turn::{ErrorKind, TurnEnd, TurnError, TurnEvent};

/// How many batches may wait for a slow client before the agent has to wait too. A batch is what
/// one read of the agent's output gave.
const QUEUE: usize = 1;

/// The events of a turn. The last one is always [`TurnEvent::End`]; dropping this cancels the turn,
/// unless another request waits for the same answer.
pub struct TurnStream {
    batches: mpsc::Receiver<Vec<TurnEvent>>,
    progress: Arc<TurnProgress>,
    ended: bool,
}

/// The engine's end of a [`TurnStream`].
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    batches: mpsc::Sender<Vec<TurnEvent>>,
    progress: Arc<TurnProgress>,
}

impl Sender {
    /// Says where the answer comes from. The first word counts.
    pub fn origin(&self, origin: RunOrigin) {
        self.progress.comes_from(origin);
    }

    /// What is known of the turn.
    pub fn progress(&self) -> &TurnProgress {
        &self.progress
    }

    /// Hands a batch on, as soon as the client has room. False if the client is gone.
    pub async fn send(&self, batch: Vec<TurnEvent>) -> bool {
        self.batches.send(batch).await.is_ok()
    }

    /// Hands on the first batch of all, for which there is room.
    pub fn begin(&self, batch: Vec<TurnEvent>) {
        let _ = self.batches.try_send(batch);
    }

    /// Waits until the client is gone.
    pub async fn closed(&self) {
        self.batches.closed().await;
    }

    pub fn is_closed(&self) -> bool {
        self.batches.is_closed()
    }
}

impl TurnStream {
    pub(crate) fn channel() -> (Sender, Self) {
        let (sender, batches) = mpsc::channel(QUEUE);
        let progress = Arc::default();
        let stream = Self {
            batches,
            progress: Arc::clone(&progress),
            ended: false,
        };
        let batches = sender;
        (Sender { batches, progress }, stream)
    }

    /// What is known of the turn, while it is answered and after.
    #[must_use]
    pub fn progress(&self) -> Arc<TurnProgress> {
        Arc::clone(&self.progress)
    }

    /// The next events, in order; `None` after the end. Safe to cancel.
    pub async fn next(&mut self) -> Option<Vec<TurnEvent>> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The same for a caller that is polled itself.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Vec<TurnEvent>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let batch = ready!(self.batches.poll_recv(cx)).unwrap_or_else(|| {
            // A channel that closes without an end means that the turn's task panicked.
            let error = TurnError::new(
                ErrorKind::Internal,
                "open-cursor failed while it answered this request; its log says more",
            );
            vec![TurnEvent::End(Box::new(TurnEnd::failed(error)))]
        });
        self.ended = matches!(batch.last(), Some(TurnEvent::End(_)));
        Poll::Ready(Some(batch))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_turn_that_dies_still_ends() {
        let (sender, mut stream) = TurnStream::channel();
        drop(sender);
        let batch = stream.next().await.unwrap();
        assert!(matches!(&batch[..], [TurnEvent::End(end)] if end.outcome.is_err()));
        assert_eq!(stream.next().await, None);
    }
}
