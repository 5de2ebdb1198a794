//! Whether OpenCode shows families with variants, rather than every member.

use super::{Context, finding::Verdict};

pub(super) async fn check(context: &Context) -> Verdict {
    let Some(Ok(inspection)) = context.inspect() else {
        return Verdict::info("not checked: OpenCode's configuration cannot be read");
    };
    if inspection.models() == 0 {
        return Verdict::info("not checked: OpenCode has no models of ours");
    }
    if inspection.has_variants() {
        return Verdict::ok("families have variants");
    }
    Verdict::info("every model is an entry of its own")
        .hint("`open-cursor sync-models --variants --compact` makes a shorter list")
}
