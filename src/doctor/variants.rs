//! Whether OpenCode's list of models is grouped into families with variants.

use super::{Context, finding::CheckResult};

pub(super) async fn check(context: &Context) -> CheckResult {
    let Some(Ok(inspection)) = context.inspect() else {
        return CheckResult::info("not checked: OpenCode's configuration cannot be read");
    };
    if inspection.models() == 0 {
        return CheckResult::info("not checked: OpenCode has no models of ours");
    }
    if inspection.has_variants() {
        return CheckResult::ok("models are grouped into families with variants");
    }
    CheckResult::info("models are not grouped")
        .hint("`open-cursor sync-models --variants --compact` groups them into a shorter list")
}
