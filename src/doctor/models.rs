//! Whether the agent lists the account's models.

use super::{Context, finding::CheckResult};

pub(super) async fn check(context: &Context) -> CheckResult {
    match context.models().await {
        None => CheckResult::no_agent(),
        Some(Ok(models)) => CheckResult::ok(format!("{} models", models.len())),
        Some(Err(error)) => CheckResult::problem(error.clone()).hint("run `cursor-agent models`"),
    }
}
