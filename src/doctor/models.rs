//! Whether the agent lists the account's models.

use super::{Context, finding::Verdict};

pub(super) async fn check(context: &Context) -> Verdict {
    match context.models().await {
        None => Verdict::no_agent(),
        Some(Ok(models)) => Verdict::ok(format!("{} models", models.len())),
        Some(Err(error)) => Verdict::problem(error.clone()).hint("run `cursor-agent models`"),
    }
}
