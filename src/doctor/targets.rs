//! Whether every model that OpenCode can ask for exists.

use super::{Context, Fix, finding::CheckResult};
use crate::models::{ModelRequest, group, resolve};

/// How many the message names.
const SHOWN: usize = 5;

pub(super) async fn check(context: &Context) -> CheckResult {
    let Some(Ok(inspection)) = context.inspect() else {
        return CheckResult::info("not checked: OpenCode's configuration cannot be read");
    };
    let targets = inspection.targets();
    if targets.is_empty() {
        return CheckResult::info("not checked: OpenCode has no models of ours");
    }
    let Some(Ok(models)) = context.models().await else {
        return CheckResult::info("not checked: the account's models are not known");
    };
    let families = group(models);
    let exists = |id: &str| {
        let request = ModelRequest {
            model: Some(id),
            ..ModelRequest::default()
        };
        resolve(request, &families, true).is_ok()
    };
    let missing: Vec<&str> = targets
        .iter()
        .map(String::as_str)
        .filter(|id| !exists(id))
        .collect();
    if missing.is_empty() {
        return CheckResult::ok(format!("all {} configured models exist", targets.len()));
    }
    let more = match missing.len().checked_sub(SHOWN) {
        Some(more) if more > 0 => format!(" and {more} more"),
        _ => String::new(),
    };
    let shown = missing[..missing.len().min(SHOWN)].join(", ");
    CheckResult::warning(format!("your account does not have {shown}{more}"))
        .hint("run `open-cursor sync-models`; remove entries that you added yourself")
        .fix(Fix::SyncModels)
}
