//! How many turns run at once, and how many wait for their turn.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::failure::shutting_down;
use crate::turn::{ErrorKind, TurnError};

/// When a client that was turned away should come back.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The bounds on turns at one time. Each running turn is a process of some 200 MB, and Cursor
/// limits accounts that run many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdmissionLimits {
    /// How many turns run at once; at least 1.
    pub running: usize,
    /// How many more may wait.
    pub queued: usize,
    /// How long one may wait.
    pub wait: Duration,
}

impl Default for AdmissionLimits {
    fn default() -> Self {
        Self {
            running: 3,
            queued: 32,
            wait: Duration::from_secs(300),
        }
    }
}

/// Lets turns in, first come, first served.
pub(super) struct Admission {
    limits: AdmissionLimits,
    /// One permit for each turn that runs or waits.
    places: Arc<Semaphore>,
    /// One permit for each turn that runs. Closed when no more may begin.
    running: Arc<Semaphore>,
}

/// The right to run. The turn owns it until nothing of it is left.
#[derive(Debug)]
pub(super) struct Permit {
    _running: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
}

impl Admission {
    pub fn new(limits: AdmissionLimits) -> Self {
        let limits = AdmissionLimits {
            running: limits.running.clamp(1, Semaphore::MAX_PERMITS / 2),
            queued: limits.queued.min(Semaphore::MAX_PERMITS / 2),
            ..limits
        };
        Self {
            limits,
            places: Arc::new(Semaphore::new(limits.running + limits.queued)),
            running: Arc::new(Semaphore::new(limits.running)),
        }
    }

    /// Waits for a permit. Dropping the future leaves the queue.
    ///
    /// # Errors
    /// `RateLimit` at once if the queue is full, or after the wait limit; `ShuttingDown` once
    /// [`close`](Self::close) was called, also for those that wait.
    pub async fn admit(&self) -> Result<Permit, TurnError> {
        let AdmissionLimits {
            running,
            queued,
            wait,
        } = self.limits;
        if self.is_closed() {
            return Err(shutting_down());
        }
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| busy(format!("{running} requests are running and {queued} wait")))?;
        // The semaphore is fair: whoever asked first is served first.
        let running = timeout(wait, Arc::clone(&self.running).acquire_owned())
            .await
            .map_err(|_| {
                let secs = wait.as_secs();
                busy(format!("this request has waited {secs} s for its turn"))
            })?
            .map_err(|_| shutting_down())?;
        Ok(Permit {
            _running: running,
            _place: place,
        })
    }

    /// Lets nobody in from now on. Turns that run are not affected.
    pub fn close(&self) {
        self.running.close();
    }

    pub fn is_closed(&self) -> bool {
        self.running.is_closed()
    }

    pub fn running(&self) -> usize {
        self.limits.running - self.running.available_permits()
    }

    pub fn queued(&self) -> usize {
        let inside = self.limits.running + self.limits.queued - self.places.available_permits();
        inside.saturating_sub(self.running())
    }
}

fn busy(why: String) -> TurnError {
    TurnError {
        retry_after: Some(RETRY_AFTER),
        ..TurnError::new(
            ErrorKind::RateLimit,
            format!("open-cursor is busy: {why}; raise --max-running if Cursor lets you run more"),
        )
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use futures::{FutureExt as _, future::join_all};
    use tokio::time::{Instant, sleep};

    use super::*;

    fn admission(running: usize, queued: usize) -> Admission {
        Admission::new(AdmissionLimits {
            running,
            queued,
            wait: Duration::from_secs(60),
        })
    }

    #[tokio::test(start_paused = true)]
    async fn first_come_first_served() {
        let admission = admission(2, 100);
        let order = std::sync::Mutex::new(Vec::new());
        let turns = (0..20).map(|n| {
            let (admission, order) = (&admission, &order);
            async move {
                let _permit = admission.admit().await.unwrap();
                order.lock().unwrap().push(n);
                assert!(admission.running() <= 2);
                sleep(Duration::from_secs(1)).await;
            }
        });
        let begun = Instant::now();
        join_all(turns).await;
        assert_eq!(*order.lock().unwrap(), (0..20).collect::<Vec<_>>());
        assert_eq!(begun.elapsed().as_secs(), 10, "two at a time");
        assert_eq!((admission.running(), admission.queued()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_refuses_at_once_and_a_long_wait_in_the_end() {
        let admission = admission(1, 1);
        let _running = admission.admit().await.unwrap();
        let mut waiting = Box::pin(admission.admit());
        assert!(waiting.as_mut().now_or_never().is_none());
        assert_eq!((admission.running(), admission.queued()), (1, 1));

        let error = admission.admit().now_or_never().unwrap().unwrap_err();
        assert_eq!(error.kind, ErrorKind::RateLimit);
        assert!(error.retry_after.is_some());

        let begun = Instant::now();
        let error = waiting.await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::RateLimit);
        assert!(error.message.contains("60 s"), "{}", error.message);
        assert_eq!(begun.elapsed().as_secs(), 60);
        assert_eq!(admission.queued(), 0);
    }

    #[tokio::test]
    async fn who_gives_up_leaves_the_queue() {
        let admission = admission(1, 1);
        let running = admission.admit().await.unwrap();
        let mut waiting = Box::pin(admission.admit());
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(waiting);
        let mut next = Box::pin(admission.admit());
        assert!(next.as_mut().now_or_never().is_none());
        drop(running);
        next.await.unwrap();
    }

    #[tokio::test]
    async fn closing_turns_away_those_that_wait_and_those_that_come() {
        let admission = admission(1, 1);
        let _running = admission.admit().await.unwrap();
        let mut waiting = Box::pin(admission.admit());
        assert!(waiting.as_mut().now_or_never().is_none());
        admission.close();
        for error in [
            waiting.await.unwrap_err(),
            admission.admit().await.unwrap_err(),
        ] {
            assert_eq!(error.kind, ErrorKind::ShuttingDown);
        }
        assert_eq!(admission.running(), 1);
    }
}
