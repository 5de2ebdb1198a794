//! Whether OpenCode's configuration has our provider.

use super::{CheckResult, Checked, Context, Fix};
use crate::opencode::PROVIDER;

pub(super) async fn check(context: &Context) -> Checked {
    let homeless = || CheckResult::warning("the environment names no home directory");
    let inspection = context.inspect().ok_or_else(homeless)?;
    let inspection = inspection.map_err(CheckResult::problem)?;
    let config = inspection.config.display();
    if !inspection.has_provider() {
        let text = format!("{config} has no provider {PROVIDER}");
        return Ok(CheckResult::info(text).hint(
            "add it with `open-cursor install`; `open-cursor run -- opencode` does not need it",
        ));
    }
    if inspection.package() != Some("@ai-sdk/openai-compatible") {
        let text = format!("{config}: provider.{PROVIDER}.npm is not @ai-sdk/openai-compatible");
        return Ok(
            CheckResult::problem(text).hint("remove the line, and run `open-cursor sync-models`")
        );
    }
    Ok(match inspection.models() {
        0 => CheckResult::problem(format!("{config}: provider.{PROVIDER} has no models"))
            .hint("run `open-cursor sync-models`")
            .fix(Fix::SyncModels),
        count => CheckResult::ok(format!("{config}, {count} models")),
    })
}
