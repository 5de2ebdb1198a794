//! What receives each request when it is over: metrics, live view, budgets and history.

use super::{limits::Spending, live::Live, metrics::Metrics};
use crate::history::Ledger;

/// What receives each request when it is over.
#[derive(Default)]
pub(super) struct Listeners {
    pub metrics: Metrics,
    pub live: Live,
    pub spending: Spending,
    pub history: Option<Ledger>,
    /// The kind of agent that answers.
    pub agent: &'static str,
}
