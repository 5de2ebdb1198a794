//! The figures of a span of time besides its sums.

use serde::Serialize;

use super::Totals;

/// The sums and times of the turns since a moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// The sums.
    pub all: Totals,
    /// How long turns took.
    pub latency: Latency,
    /// What was saved.
    pub saved: Savings,
    /// How many turns failed by each class, the most frequent first.
    pub errors: Vec<(String, u64)>,
}

/// How long turns took, in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Latency {
    /// To the agent's first event.
    pub first_event: Option<Percentiles>,
    /// To the first piece of the answer.
    pub first_delta: Option<Percentiles>,
    /// To the end.
    pub total: Option<Percentiles>,
}

/// Of a set of times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Percentiles {
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
}

/// What parking and the cache saved.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Savings {
    /// Turns that went on with a parked run: each saved a start of the agent.
    pub resumed: u64,
    /// What a start takes: the mean time of fresh turns from the queue to the agent's first event.
    pub mean_start_ms: Option<f64>,
    /// Input tokens read from the cache.
    pub cached_tokens: u64,
    /// What these would have cost more as fresh ones, in US dollars, where the price is known.
    pub cache_dollars: f64,
}

/// By the nearest rank.
pub(super) fn percentiles(mut times: Vec<u64>) -> Option<Percentiles> {
    let last = times.len().checked_sub(1)?;
    times.sort_unstable();
    let at = |percent: usize| {
        times[(times.len() * percent)
            .div_ceil(100)
            .saturating_sub(1)
            .min(last)]
    };
    Some(Percentiles {
        p50: at(50),
        p90: at(90),
        p99: at(99),
    })
}
