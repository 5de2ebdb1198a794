//! Checks everything that a request needs, and reports what is wrong and how to fix it.
//!
//! ```text
//! Context (settings, environment, agent) ── CHECKS, concurrent, each with a time limit ──> Vec<Finding>
//! ```
//!
//! One file per check, one row in [`CHECKS`]. A check prints nothing and changes nothing; where a
//! repair is safe, its finding names it.

mod agent;
mod base_url;
mod bridge;
mod chat;
mod config_dir;
mod context;
mod create_chat;
mod fence;
mod finding;
mod flags;
mod login;
mod models;
mod network;
mod opencode;
mod overrides;
mod parking;
mod path;
mod port;
mod processes;
mod provider;
mod server;
mod strays;
mod targets;
mod tokens;
mod variants;

use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};

pub use context::{ChatProbe, Context, ProbedLoop, Probes, ToolProbe};
pub use finding::{Finding, Fix, Severity};

use finding::CheckResult;

/// A check of one thing.
pub struct DoctorCheck {
    /// Its name, in the output and in `--json`.
    pub name: &'static str,
    /// When it runs.
    pub depth: Depth,
    /// Its limit with `--deep`; without, no check takes longer than [`QUICK`].
    limit: Duration,
    run: for<'a> fn(&'a Context) -> BoxFuture<'a, CheckResult>,
}

/// The limit of a check without `--deep`: nobody waits longer for an agent that hangs.
const QUICK: Duration = Duration::from_secs(4);

/// When a check runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// Always.
    Base,
    /// With `--deep`.
    Deep,
    /// With `--deep`, unless `--no-chat` is set: it costs a request.
    Chat,
}

/// All checks, in the order of the output.
pub const CHECKS: &[DoctorCheck] = &[
    base("agent", 15, |context| agent::check(context).boxed()),
    base("agent-flags", 15, |context| flags::check(context).boxed()),
    base("login", 25, |context| login::check(context).boxed()),
    base("config-directory", 50, |context| {
        config_dir::check(context).boxed()
    }),
    base("fence", 20, |context| fence::check(context).boxed()),
    base("parking", 15, |context| parking::check(context).boxed()),
    base("path", 5, |context| path::check(context).boxed()),
    base("port", 5, |context| port::check(context).boxed()),
    base("server", 5, |context| server::check(context).boxed()),
    base("opencode", 10, |context| opencode::check(context).boxed()),
    base("provider", 5, |context| provider::check(context).boxed()),
    base("base-url", 5, |context| base_url::check(context).boxed()),
    base("bridge", 40, |context| bridge::check(context).boxed()),
    deep("tokens", 5, |context| tokens::check(context).boxed()),
    deep("overrides", 5, |context| overrides::check(context).boxed()),
    deep("network", 15, |context| network::check(context).boxed()),
    deep("models", 35, |context| models::check(context).boxed()),
    deep("model-targets", 35, |context| {
        targets::check(context).boxed()
    }),
    deep("variants", 5, |context| variants::check(context).boxed()),
    deep("strays", 5, |context| strays::check(context).boxed()),
    deep("create-chat", 30, |context| {
        create_chat::check(context).boxed()
    }),
    DoctorCheck {
        depth: Depth::Chat,
        ..deep("bridge-run", 200, |context| bridge::run(context).boxed())
    },
    DoctorCheck {
        depth: Depth::Chat,
        ..deep("chat", 120, |context| chat::check(context).boxed())
    },
    DoctorCheck {
        depth: Depth::Chat,
        ..deep("tool-loop", 120, |context| {
            parking::round_trip(context).boxed()
        })
    },
];

type CheckFn = for<'a> fn(&'a Context) -> BoxFuture<'a, CheckResult>;

const fn base(name: &'static str, seconds: u64, run: CheckFn) -> DoctorCheck {
    DoctorCheck {
        name,
        depth: Depth::Base,
        limit: Duration::from_secs(seconds),
        run,
    }
}

const fn deep(name: &'static str, seconds: u64, run: CheckFn) -> DoctorCheck {
    DoctorCheck {
        depth: Depth::Deep,
        ..base(name, seconds, run)
    }
}

/// Runs all checks up to a depth, concurrently. `on_finding` receives each finding in the order of
/// [`CHECKS`], as soon as those before it are there, and `waiting` the names of the checks that
/// still run, whenever one has ended.
pub async fn examine(
    context: &Context,
    depth: Depth,
    mut on_finding: impl FnMut(&Finding),
    waiting: impl Fn(&[&'static str]),
) -> Vec<Finding> {
    let chosen = || CHECKS.iter().filter(|check| check.depth <= depth);
    let mut left: Vec<&'static str> = chosen().map(|check| check.name).collect();
    waiting(&left);
    let runs = chosen().map(|check| async {
        let quick = depth == Depth::Base;
        let limit = if quick {
            check.limit.min(QUICK)
        } else {
            check.limit
        };
        one(context, check, limit, quick).await
    });
    let mut running: FuturesUnordered<_> = runs
        .enumerate()
        .map(|(at, run)| run.map(move |finding| (at, finding)))
        .collect();
    let mut findings: Vec<Option<Finding>> = chosen().map(|_| None).collect();
    let mut reported = 0;
    while let Some((at, finding)) = running.next().await {
        left.retain(|name| *name != finding.check);
        findings[at] = Some(finding);
        while let Some(Some(next)) = findings.get(reported) {
            on_finding(next);
            reported += 1;
        }
        waiting(&left);
    }
    findings.into_iter().flatten().collect()
}

async fn one(context: &Context, check: &DoctorCheck, limit: Duration, quick: bool) -> Finding {
    let verdict = tokio::time::timeout(limit, (check.run)(context)).await;
    let verdict = verdict.unwrap_or_else(|_| {
        let verdict = CheckResult::warning(format!("no result within {} s", limit.as_secs()));
        if quick && check.limit > limit {
            verdict.hint("`open-cursor doctor --deep` waits longer")
        } else {
            verdict
        }
    });
    Finding::new(check.name, verdict)
}
