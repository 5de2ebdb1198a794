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

use std::{sync::Mutex, time::Duration};

use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesOrdered};

pub use context::{Context, DoctorProbe, ProbedLoop, Probes};
pub use finding::{CheckResult, Finding, Fix, Severity};

use crate::threads::lock;
use finding::Checked;

/// A check of one thing.
pub struct DoctorCheck {
    /// Its name, in the output and in `--json`.
    pub name: &'static str,
    /// When it runs.
    pub depth: Depth,
    /// Its limit with `--deep`; without, no check takes longer than [`QUICK`].
    limit: Duration,
    run: CheckFn,
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
    chat("bridge-run", 200, |context| bridge::run(context).boxed()),
    chat("chat", 120, |context| chat::check(context).boxed()),
    chat("tool-loop", 120, |context| {
        parking::round_trip(context).boxed()
    }),
];

type CheckFn = for<'a> fn(&'a Context) -> BoxFuture<'a, Checked>;

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

const fn chat(name: &'static str, seconds: u64, run: CheckFn) -> DoctorCheck {
    DoctorCheck {
        depth: Depth::Chat,
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
    let left = Mutex::new(chosen().map(|check| check.name).collect::<Vec<_>>());
    let report = |ended: &str| {
        let mut left = lock(&left);
        left.retain(|name| *name != ended);
        waiting(&left);
    };
    report("");
    let runs = chosen().map(|check| async {
        let finding = one(context, check, depth == Depth::Base).await;
        report(check.name);
        finding
    });
    let running: FuturesOrdered<_> = runs.collect();
    running
        .inspect(|finding| on_finding(finding))
        .collect()
        .await
}

async fn one(context: &Context, check: &DoctorCheck, quick: bool) -> Finding {
    let limit = match quick {
        true => check.limit.min(QUICK),
        false => check.limit,
    };
    let result = match tokio::time::timeout(limit, (check.run)(context)).await {
        Ok(Ok(result) | Err(result)) => result,
        Err(_) => {
            let late = CheckResult::warning(format!("no result within {} s", limit.as_secs()));
            match limit < check.limit {
                true => late.hint("`open-cursor doctor --deep` waits longer"),
                false => late,
            }
        }
    };
    Finding {
        check: check.name,
        result,
    }
}
