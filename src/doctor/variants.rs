//! Whether OpenCode's list of models is grouped into families with variants.

use super::{Context, finding::Verdict};

pub(super) async fn check(context: &Context) -> Verdict {
    let Some(Ok(inspection)) = context.inspect() else {
        return Verdict::info("not checked: OpenCode's configuration cannot be read");
    };
    if inspection.models() == 0 {
        return Verdict::info("not checked: OpenCode has no models of ours");
    }
    if inspection.has_variants() {
        return Verdict::ok("models are grouped into families with variants");
    }
    Verdict::info("models are not grouped")
        .hint("`open-cursor sync-models --variants --compact` groups them into a shorter list")
}
