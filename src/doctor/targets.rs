//! Whether every model that OpenCode can ask for exists.

use super::{CheckResult, Checked, Context, Fix};
use crate::models::{ModelRequest, group, resolve};

/// How many the message names.
const SHOWN: usize = 5;

pub(super) async fn check(context: &Context) -> Checked {
    let targets = context.inspected_models()?.targets();
    let unknown = || CheckResult::info("not checked: the account's models are not known");
    let models = context.models().await.ok().and_then(|it| it.as_ref().ok());
    let families = group(models.ok_or_else(unknown)?);
    let is_missing = |id: &&str| {
        let request = ModelRequest {
            model: Some(id),
            ..ModelRequest::default()
        };
        resolve(request, &families, true).is_err()
    };
    let all = targets.iter().map(String::as_str);
    let missing: Vec<&str> = all.filter(is_missing).collect();
    if missing.is_empty() {
        let count = targets.len();
        return Ok(CheckResult::ok(format!(
            "all {count} configured models exist"
        )));
    }
    let more = match missing.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let shown = missing[..missing.len().min(SHOWN)].join(", ");
    Ok(
        CheckResult::warning(format!("your account does not have {shown}{more}"))
            .hint("run `open-cursor sync-models`; remove entries that you added yourself")
            .fix(Fix::SyncModels),
    )
}
