//! The one bridge process that all runs share: started on first use, started again after its end.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::Mutex;
use tokio_util::task::TaskTracker;

use super::{
    callback::Callback,
    calls::BridgeCalls,
    server::{About, BridgeLaunch, BridgeProcess},
};
use crate::agent::AgentError;

/// The pause after the second failed start in a row; it doubles with each further one. After the first
/// there is none.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A bridge that lives less long counts as a failed start.
const PROVEN: Duration = Duration::from_secs(10);

/// Starts the process when it is needed.
#[derive(Debug)]
pub(super) struct SharedBridge {
    pub launch: BridgeLaunch,
    /// The runs whose calls it may make.
    pub calls: BridgeCalls,
    /// All that is still to end.
    pub tracker: TaskTracker,
    state: Mutex<BridgeState>,
}

#[derive(Debug, Default)]
struct BridgeState {
    callback: Option<Callback>,
    server: Option<Arc<BridgeProcess>>,
    started: Option<Instant>,
    back_off: BackOff,
}

impl SharedBridge {
    pub fn new(launch: BridgeLaunch) -> Self {
        Self {
            launch,
            calls: BridgeCalls::default(),
            tracker: TaskTracker::new(),
            state: Mutex::default(),
        }
    }

    /// The running bridge. The first caller starts it, the others wait for that.
    ///
    /// # Errors
    /// Why it does not start; while it is not to be tried again, the last reason.
    pub async fn server(&self) -> Result<Arc<BridgeProcess>, AgentError> {
        let mut state = self.state.lock().await;
        if let Some(server) = &state.server {
            if !server.is_gone() {
                return Ok(Arc::clone(server));
            }
            let ended = server.ended_at().unwrap_or_else(Instant::now);
            let how = server.how_it_ended();
            state.server = None;
            if state.started.is_none_or(|started| ended - started < PROVEN) {
                let message = format!("the bridge ended soon after its start: {how}");
                state.back_off.failed(ended, AgentError::Failed(message));
            }
        }
        state.back_off.check(Instant::now())?;
        let callback = match state.callback.take() {
            Some(callback) => callback,
            None => {
                let listen = Callback::listen(self.calls.clone(), &self.tracker).await;
                let failed = |error| format!("cannot listen for the bridge's calls: {error}");
                listen.map_err(|error| AgentError::Failed(failed(error)))?
            }
        };
        let callback = state.callback.insert(callback);
        let started = BridgeProcess::start(&self.launch, callback, &self.tracker).await;
        let server = Arc::new(started.inspect_err(|error| {
            state.back_off.failed(Instant::now(), error.clone());
        })?);
        state.server = Some(Arc::clone(&server));
        state.started = Some(Instant::now());
        Ok(server)
    }

    /// What is known of the process, if it runs and is not being started.
    pub fn about(&self) -> Option<About> {
        let state = self.state.try_lock().ok()?;
        let server = state.server.as_ref().filter(|server| !server.is_gone())?;
        Some(server.about.clone())
    }

    /// Lets go of the process, which ends once no run holds it, and waits until nothing is left.
    pub async fn close(&self) {
        *self.state.lock().await = BridgeState::default();
        self.tracker.close();
        self.tracker.wait().await;
    }
}

/// When a start may be tried again.
#[derive(Debug, Default)]
struct BackOff {
    failures: u32,
    last: Option<(Instant, AgentError)>,
}

impl BackOff {
    fn failed(&mut self, now: Instant, error: AgentError) {
        // A failure long after the last one is a first one.
        let is_old = self
            .last
            .as_ref()
            .is_some_and(|(until, _)| now > *until + LONGEST_PAUSE);
        self.failures = if is_old { 0 } else { self.failures };
        let pause = match self.failures {
            0 => Duration::ZERO,
            more => FIRST_PAUSE.saturating_mul(1 << (more - 1).min(10)),
        };
        self.failures += 1;
        self.last = Some((now + pause.min(LONGEST_PAUSE), error));
    }

    fn check(&self, now: Instant) -> Result<(), AgentError> {
        match &self.last {
            Some((until, error)) if now < *until => Err(error.clone()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_end() {
        let error = AgentError::Failed("no".to_owned());
        let begin = Instant::now();
        let mut back_off = BackOff::default();
        assert!(back_off.check(begin).is_ok());
        let mut now = begin;
        for pause in [0, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000] {
            let pause = Duration::from_millis(pause);
            back_off.failed(now, error.clone());
            if let Some(before) = pause.checked_sub(Duration::from_millis(1)) {
                assert_eq!(back_off.check(now + before), Err(error.clone()));
            }
            now += pause;
            assert!(back_off.check(now).is_ok());
        }
        now += LONGEST_PAUSE * 2;
        back_off.failed(now, error);
        assert!(
            back_off.check(now).is_ok(),
            "a failure after a long time is a first one"
        );
    }
}
