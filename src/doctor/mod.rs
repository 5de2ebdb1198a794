//! Looks at everything that a request needs, and says what is wrong and what to do.
//!
//! ```text
//! Context (settings, environment, agent) ── CHECKS, all at once, a budget each ──> Vec<Finding>
//! ```
//!
//! One file per check, one row in [`CHECKS`]; who shows the findings is no concern of theirs. A check
//! changes nothing; where a repair is safe, it names it.

mod agent;
mod base_url;
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
mod owner;
mod path;
mod port;
mod provider;
mod server;
mod strays;
mod targets;
mod tokens;
mod variants;

use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};

pub use context::{Chat, Context};
pub use finding::{Finding, Fix, Severity};

use finding::Verdict;

/// A thing to look at.
pub struct Check {
    /// What it is called, for people and for `--json`.
    pub name: &'static str,
    /// When it is done.
    pub depth: Depth,
    budget: Duration,
    run: for<'a> fn(&'a Context) -> BoxFuture<'a, Verdict>,
}

/// When a check is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// Always.
    Base,
    /// With `--deep`.
    Deep,
    /// With `--deep`, unless it is told not to spend a request.
    Chat,
}

/// All checks, in the order in which they are shown.
pub const CHECKS: &[Check] = &[
    base("agent", 15, |context| agent::check(context).boxed()),
    base("agent-flags", 15, |context| flags::check(context).boxed()),
    base("login", 25, |context| login::check(context).boxed()),
    base("config-directory", 50, |context| {
        config_dir::check(context).boxed()
    }),
    base("fence", 20, |context| fence::check(context).boxed()),
    base("path", 5, |context| path::check(context).boxed()),
    base("port", 5, |context| port::check(context).boxed()),
    base("server", 5, |context| server::check(context).boxed()),
    base("opencode", 10, |context| opencode::check(context).boxed()),
    base("provider", 5, |context| provider::check(context).boxed()),
    base("base-url", 5, |context| base_url::check(context).boxed()),
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
    Check {
        depth: Depth::Chat,
        ..deep("chat", 120, |context| chat::check(context).boxed())
    },
];

type Run = for<'a> fn(&'a Context) -> BoxFuture<'a, Verdict>;

const fn base(name: &'static str, seconds: u64, run: Run) -> Check {
    Check {
        name,
        depth: Depth::Base,
        budget: Duration::from_secs(seconds),
        run,
    }
}

const fn deep(name: &'static str, seconds: u64, run: Run) -> Check {
    Check {
        depth: Depth::Deep,
        ..base(name, seconds, run)
    }
}

/// Does all checks up to a depth, at the same time. `waiting` is told the names of those that still
/// run, whenever one has ended.
pub async fn examine(
    context: &Context,
    depth: Depth,
    waiting: impl Fn(&[&'static str]),
) -> Vec<Finding> {
    let chosen = || CHECKS.iter().filter(|check| check.depth <= depth);
    let mut left: Vec<&'static str> = chosen().map(|check| check.name).collect();
    waiting(&left);
    let mut running: FuturesUnordered<_> = chosen()
        .enumerate()
        .map(|(at, check)| one(context, check).map(move |finding| (at, finding)))
        .collect();
    let mut findings = Vec::new();
    while let Some((at, finding)) = running.next().await {
        left.retain(|name| *name != finding.check);
        waiting(&left);
        findings.push((at, finding));
    }
    findings.sort_by_key(|(at, _)| *at);
    findings.into_iter().map(|(_, finding)| finding).collect()
}

async fn one(context: &Context, check: &Check) -> Finding {
    let verdict = tokio::time::timeout(check.budget, (check.run)(context)).await;
    let verdict = verdict.unwrap_or_else(|_| {
        let seconds = check.budget.as_secs();
        Verdict::warning(format!("no result within {seconds} s"))
    });
    Finding::new(check.name, verdict)
}
