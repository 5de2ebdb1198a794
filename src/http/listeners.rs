//! What receives each request when it is over: metrics, live view, budgets and history.

use super::{limits::Spending, live::Live, metrics::Metrics};
use crate::history::Ledger;

/// What receives each request when it is over.
pub(super) struct Listeners {
    pub metrics: Metrics,
    pub live: Live,
    pub spending: Spending,
    pub history: Option<Ledger>,
    /// The kind of agent that answers.
    pub agent: &'static str,
}

#[cfg(test)]
impl Listeners {
    /// Nobody else.
    pub fn none() -> std::sync::Arc<Self> {
        std::sync::Arc::new(Self {
            metrics: Metrics::default(),
            live: Live::default(),
            spending: Spending::default(),
            history: None,
            agent: "",
        })
    }
}
