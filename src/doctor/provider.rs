//! Whether OpenCode's configuration has our provider.

use super::{Context, Fix, finding::CheckResult};
use crate::opencode::PROVIDER;

pub(super) async fn check(context: &Context) -> CheckResult {
    let inspection = match context.inspect() {
        Some(Ok(inspection)) => inspection,
        Some(Err(error)) => return CheckResult::problem(error.to_string()),
        None => return CheckResult::warning("the environment names no home directory"),
    };
    let config = inspection.config.display();
    if !inspection.has_provider() {
        return CheckResult::info(format!("{config} has no provider {PROVIDER}")).hint(
            "add it with `open-cursor install`; `open-cursor run -- opencode` does not need it",
        );
    }
    if inspection.package() != Some("@ai-sdk/openai-compatible") {
        return CheckResult::problem(format!(
            "{config}: provider.{PROVIDER}.npm is not @ai-sdk/openai-compatible"
        ))
        .hint("remove the line, and run `open-cursor sync-models`");
    }
    match inspection.models() {
        0 => CheckResult::problem(format!("{config}: provider.{PROVIDER} has no models"))
            .hint("run `open-cursor sync-models`")
            .fix(Fix::SyncModels),
        count => CheckResult::ok(format!("{config}, {count} models")),
    }
}
