//! Whether OpenCode's configuration has our provider.

use super::{Context, Fix, finding::Verdict};
use crate::opencode::PROVIDER;

pub(super) async fn check(context: &Context) -> Verdict {
    let inspection = match context.inspect() {
        Some(Ok(inspection)) => inspection,
        Some(Err(error)) => return Verdict::problem(error.to_string()),
        None => return Verdict::warning("the environment names no home directory"),
    };
    let config = inspection.config.display();
    if !inspection.has_provider() {
        return Verdict::info(format!("{config} has no provider {PROVIDER}")).hint(
            "add it with `open-cursor install`; `open-cursor run -- opencode` does not need it",
        );
    }
    if inspection.package() != Some("@ai-sdk/openai-compatible") {
        return Verdict::problem(format!(
            "{config}: provider.{PROVIDER}.npm is not @ai-sdk/openai-compatible"
        ))
        .hint("remove the line, and run `open-cursor sync-models`");
    }
    match inspection.models() {
        0 => Verdict::problem(format!("{config}: provider.{PROVIDER} has no models"))
            .hint("run `open-cursor sync-models`")
            .fix(Fix::SyncModels),
        count => Verdict::ok(format!("{config}, {count} models")),
    }
}
