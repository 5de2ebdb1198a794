//! The events of one turn, on their way to the client.

use std::task::{Context, Poll, ready};

use tokio::sync::mpsc;

use crate::turn::{ErrorKind, TurnEnd, TurnError, TurnEvent};

/// How many batches may wait for a slow client before the agent has to wait too. A batch is what
/// one read of the agent's output gave.
const QUEUE: usize = 1;

/// The events of a turn. The last one is always [`TurnEvent::End`]; dropping this cancels the turn.
pub struct TurnStream {
    batches: mpsc::Receiver<Vec<TurnEvent>>,
    ended: bool,
}

/// The engine's end of a [`TurnStream`].
pub(crate) type Sender = mpsc::Sender<Vec<TurnEvent>>;

impl TurnStream {
    pub(crate) fn channel() -> (Sender, Self) {
        let (sender, batches) = mpsc::channel(QUEUE);
        let stream = Self {
            batches,
            ended: false,
        };
        (sender, stream)
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
            vec![TurnEvent::End(TurnEnd::failed(error))]
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
