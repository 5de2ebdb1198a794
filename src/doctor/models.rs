//! Whether the agent lists the account's models.

use super::{CheckResult, Checked, Context};

pub(super) async fn check(context: &Context) -> Checked {
    let models = context.models().await?.as_ref();
    let models =
        models.map_err(|error| CheckResult::problem(error).hint("run `cursor-agent models`"))?;
    Ok(CheckResult::ok(format!("{} models", models.len())))
}
