//! Whether OpenCode's list of models is grouped into families with variants.

use super::{CheckResult, Checked, Context};

pub(super) async fn check(context: &Context) -> Checked {
    if context.inspected_models()?.has_variants() {
        let text = "models are grouped into families with variants";
        return Ok(CheckResult::ok(text));
    }
    Ok(CheckResult::info("models are not grouped")
        .hint("`open-cursor sync-models --variants --compact` groups them into a shorter list"))
}
