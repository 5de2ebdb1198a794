//! How long a turn may take, and how long the agent may be silent.

use std::time::Duration;

use tokio::time::Instant;

use crate::boundary::OpenTool;

/// The limits of a turn. By default only silence counts: a run that talks may last for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budgets {
    /// From the start to the first event.
    pub first_event: Duration,
    /// Between two events.
    pub idle: Duration,
    /// From the start to the end; `None` is no limit.
    pub total: Option<Duration>,
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            first_event: Duration::from_secs(120),
            idle: Duration::from_secs(600),
            total: None,
        }
    }
}

/// How much longer than its own timeout a tool may take to report.
const TOOL_GRACE: Duration = Duration::from_secs(30);

/// Far beyond any real budget, and still a time that `Instant` can hold.
const FOREVER: Duration = Duration::from_secs(86_400 * 365);

impl Budgets {
    /// When an answer must be complete that began at `begun`.
    pub(super) fn deadline(&self, begun: Instant) -> Instant {
        self.after(begun, self.total.unwrap_or(FOREVER))
    }

    /// The end of a silence that began at `last`.
    pub(super) fn after(&self, last: Instant, silence: Duration) -> Instant {
        last + silence.min(FOREVER)
    }

    /// The budget of the silence that begins now.
    pub(super) fn next(&self, started: bool, open_tool: Option<&OpenTool>) -> Duration {
        if !started {
            return self.first_event;
        }
        let tool = open_tool
            .and_then(|tool| tool.timeout)
            .map_or(Duration::ZERO, |timeout| timeout.saturating_add(TOOL_GRACE));
        self.idle.max(tool)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_with_a_longer_timeout_extends_the_idle_budget() {
        let budgets = Budgets::default();
        let tool = |secs| OpenTool {
            name: "shell".to_owned(),
            timeout: Some(Duration::from_secs(secs)),
        };
        assert_eq!(budgets.next(false, None), Duration::from_secs(120));
        assert_eq!(budgets.next(true, None), Duration::from_secs(600));
        assert_eq!(
            budgets.next(true, Some(&tool(30))),
            Duration::from_secs(600)
        );
        assert_eq!(
            budgets.next(true, Some(&tool(900))),
            Duration::from_secs(930)
        );
        assert_eq!(budgets.next(true, Some(&tool(u64::MAX))), Duration::MAX);
    }
}
