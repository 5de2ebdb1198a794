//! `GET /metrics`: what the server did since its start, for Prometheus. src/cli/topics/endpoints.md documents the names.
//!
//! The values of labels are fixed, except for models and tools: a client can name any, so their number
//! is bounded.

use std::{collections::HashSet, fmt, sync::Mutex, time::Duration};

use prometheus_client::{
    encoding::prometheus_text::encode,
    metrics::{
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::ConstGauge,
        histogram::Histogram,
        info::Info,
    },
    registry::{Registry, Unit},
};

use super::facts::Facts;
use crate::{engine::Engine, history::Ledger, threads::lock};

/// The content type of Prometheus's text format.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How many models, and how many tools, have a series of their own; further ones are `other`.
const NAMES: usize = 100;

/// Upper bounds of the phases' histogram, in seconds: an agent takes 1 to 8 s to start, and a turn up
/// to minutes.
const SECONDS: [f64; 14] = [
    0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0,
];

/// The names and values of labels.
type Labels<const COUNT: usize> = [(&'static str, String); COUNT];

/// Counts of all requests.
pub(super) struct Metrics {
    turns: Family<Labels<4>, Counter>,
    errors: Family<Labels<1>, Counter>,
    phases: Family<Labels<1>, Histogram>,
    deltas: Counter,
    calls: Family<Labels<2>, Counter>,
    tokens: Family<Labels<1>, Counter>,
    cost: Counter<f64, std::sync::atomic::AtomicU64>,
    models: Names,
    tools: Names,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            turns: Family::default(),
            errors: Family::default(),
            phases: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            deltas: Counter::default(),
            calls: Family::default(),
            tokens: Family::default(),
            cost: Counter::default(),
            models: Names::default(),
            tools: Names::default(),
        }
    }
}

impl Metrics {
    /// Counts a request that is over.
    pub fn count(&self, facts: &Facts) {
        if let Some(Err(error)) = &facts.outcome {
            let kind = format!("{:?}", error.kind);
            self.errors.get_or_create(&[("kind", kind)]).inc();
        }
        let Some(dialect) = facts.dialect else {
            return;
        };
        let labels = [
            ("dialect", dialect.to_owned()),
            ("model", self.models.label(&facts.row.model)),
            ("run", facts.run().to_owned()),
            ("outcome", facts.finish().to_owned()),
        ];
        self.turns.get_or_create(&labels).inc();
        self.deltas.inc_by(facts.row.deltas);
        for (name, outcomes) in &facts.row.tools {
            let tool = self.tools.label(name);
            for (outcome, count) in outcomes {
                let labels = [("tool", tool.clone()), ("outcome", outcome.clone())];
                self.calls.get_or_create(&labels).inc_by((*count).into());
            }
        }
        for (phase, took) in facts.phases() {
            if let Some(took) = took.as_ref().map(Duration::as_secs_f64) {
                let labels = [("phase", phase.to_owned())];
                self.phases.get_or_create(&labels).observe(took);
            }
        }
        if let Some(usage) = facts.usage {
            for (kind, count) in [
                ("input", Some(usage.input)),
                ("output", Some(usage.output)),
                ("cache_read", usage.cache_read),
                ("cache_write", usage.cache_write),
            ] {
                let count = count.unwrap_or(0);
                let labels = [("kind", kind.to_owned())];
                self.tokens.get_or_create(&labels).inc_by(count);
            }
            self.cost.inc_by(facts.cost().unwrap_or(0.0));
        }
    }

    /// The text that Prometheus reads.
    pub fn text(&self, engine: &Engine, history: Option<&Ledger>) -> Result<String, fmt::Error> {
        let mut registry = Registry::with_prefix("open_cursor");
        let version = vec![("version", env!("CARGO_PKG_VERSION"))];
        registry.register("build", "This program", Info::new(version));
        registry.register(
            "turns",
            "Requests to a model by how they ended",
            self.turns.clone(),
        );
        registry.register("errors", "Failed requests of any kind", self.errors.clone());
        registry.register_with_unit(
            "phase",
            "Time since the request's head, to each phase of its turn",
            Unit::Seconds,
            self.phases.clone(),
        );
        registry.register("deltas", "Pieces of answers", self.deltas.clone());
        registry.register(
            "tool_calls",
            "Calls of tools, and results of clients",
            self.calls.clone(),
        );
        registry.register(
            "tokens",
            "Tokens as Cursor reported them, or as estimated",
            self.tokens.clone(),
        );
        registry.register(
            "cost_dollars",
            "What turns cost, where it is known",
            self.cost.clone(),
        );
        let gauge = |value: usize| ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
        registry.register("running", "Turns that run", gauge(engine.running()));
        registry.register("queued", "Turns that wait to run", gauge(engine.queued()));
        registry.register(
            "parked",
            "Runs that wait for the results of a client's tools",
            gauge(engine.parked()),
        );
        registry.register(
            "breaches",
            "Changes that an agent made by its own tools though it is served the client's",
            ConstCounter::new(engine.breaches()),
        );
        registry.register(
            "lost_changes",
            "Changes of files that no tool call could carry to a client",
            ConstCounter::new(engine.lost_changes()),
        );
        registry.register(
            "recovered_calls",
            "Tool calls found in answer text",
            ConstCounter::new(engine.recovered()),
        );
        registry.register(
            "agent_starts",
            "Runs of the agent that were started",
            ConstCounter::new(engine.starts()),
        );
        registry.register(
            "guard_stops",
            "Answers that were ended over calls that go in a circle or can't be made valid",
            ConstCounter::new(engine.guard_stops()),
        );
        registry.register(
            "history_lost",
            "Turns that are missing in the history",
            ConstCounter::new(history.map_or(0, Ledger::lost)),
        );
        let mut text = String::new();
        encode(&mut text, &registry)?;
        Ok(text)
    }
}

/// Names from outside that have become labels.
#[derive(Default)]
struct Names(Mutex<HashSet<String>>);

impl Names {
    fn label(&self, name: &str) -> String {
        let mut names = lock(&self.0);
        if names.contains(name) || names.len() < NAMES {
            names.insert(name.to_owned());
            return name.to_owned();
        }
        "other".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_names_is_bounded() {
        let names = Names::default();
        for n in 0..NAMES {
            assert_eq!(names.label(&n.to_string()), n.to_string());
        }
        assert_eq!(names.label("one more"), "other");
        assert_eq!(names.label("7"), "7");
    }
}
