//! Variables that change what the agent connects to.

use super::{CheckResult, Checked, Context};

/// Each sends requests elsewhere, or makes someone else pay (FACTS 1.4).
const OVERRIDES: &[&str] = &[
    "CURSOR_API_ENDPOINT",
    "CURSOR_API_BASE_URL",
    "CURSOR_LOCAL_AGENT_BASE_URL",
    "CURSOR_LOCAL_AGENT_API_KEY",
    "CURSOR_AGENT_CLI_AUTHLESS_MODE",
    "CURSOR_ENABLE_BEDROCK",
    "CURSOR_STATSIG_OVERRIDES",
];

/// Passed to the agent unchanged.
const PROXIES: &[&str] = &[
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
];

pub(super) async fn check(context: &Context) -> Checked {
    let set = |names: &[&'static str]| -> Vec<&'static str> {
        let set = names.iter().copied();
        set.filter(|name| context.env.get(name).is_some()).collect()
    };
    let overrides = set(OVERRIDES);
    if !overrides.is_empty() {
        let names = overrides.join(", ");
        let text = format!("the environment changes what the agent connects to: {names}");
        return Ok(CheckResult::warning(text).hint("unset them unless you set them on purpose"));
    }
    if context.env.get("CURSOR_USER_ID").is_some() {
        let text = "CURSOR_USER_ID is set, which the CLI does not read";
        return Ok(CheckResult::info(text));
    }
    let proxies = set(PROXIES).join(", ");
    Ok(match proxies.is_empty() {
        true => CheckResult::ok("no variable overrides where the agent connects"),
        false => CheckResult::info(format!("the agent connects through a proxy: {proxies}")),
    })
}
