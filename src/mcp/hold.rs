//! A request of the agent that waits for the result of a call.

use std::{sync::Arc, time::Duration};

use tokio::{sync::oneshot, time::timeout};

use super::calls::{CallKey, RunCalls, WaitOutcome};

/// Waits for one call. Dropping it before the outcome is known means that the agent's connection
/// ended.
pub(super) struct Hold {
    pub(super) calls: Arc<RunCalls>,
    pub(super) key: CallKey,
    pub(super) number: u64,
    /// Whether this is the `tools/call` itself: without an answer to it, the model has no id to
    /// wait for.
    pub(super) first: bool,
    pub(super) outcome: oneshot::Receiver<WaitOutcome>,
    /// Whether the outcome is not known.
    pub(super) waiting: bool,
}

impl Hold {
    /// The outcome; `None` if there is none within the limit, and the call stays open.
    pub(super) async fn outcome(mut self, limit: Duration) -> Option<WaitOutcome> {
        let outcome = match timeout(limit, &mut self.outcome).await {
            Ok(outcome) => outcome,
            Err(_) if self.calls.let_go(self.key, self.number) => {
                self.waiting = false;
                return None;
            }
            // It was sent at this very moment.
            Err(_) => (&mut self.outcome).await,
        };
        let outcome = outcome.unwrap_or(WaitOutcome::Ended);
        // After a cancelled request the call is lost if it was the first.
        self.waiting = matches!(outcome, WaitOutcome::Cancelled);
        Some(outcome)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if !self.waiting {
            return;
        }
        self.calls.let_go(self.key, self.number);
        if self.first {
            self.calls.lose(self.key);
        }
    }
}
