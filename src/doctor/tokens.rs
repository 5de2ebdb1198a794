//! Whether a token has expired or will soon. Tokens are read locally, for their claims.

use super::{Context, finding::CheckResult};
use crate::auth;

pub(super) async fn check(context: &Context) -> CheckResult {
    let env = context.env.clone();
    let Ok(places) = tokio::task::spawn_blocking(move || auth::places(&env)).await else {
        return CheckResult::warning("the credential files could not be read");
    };
    let with_token = places.iter().filter(|place| place.claims.is_some());
    let worries: Vec<String> = places
        .iter()
        .filter_map(|place| Some(format!("{} {}", place.name, place.worry(context.now)?)))
        .collect();
    if !worries.is_empty() {
        let message = worries.join("; ");
        let ended = with_token.clone().any(|place| {
            let left = place
                .claims
                .as_ref()
                .and_then(|claims| claims.days_left(context.now));
            left.is_some_and(|left| left < 0) && !place.renewable
        });
        let verdict = if ended {
            CheckResult::problem(message)
        } else {
            CheckResult::warning(message)
        };
        return verdict.hint("run `open-cursor login`, or renew the token in the environment");
    }
    let left = with_token
        .filter_map(|place| Some((place, place.claims.as_ref()?.days_left(context.now)?)))
        .min_by_key(|(_, left)| *left);
    match left {
        Some((place, left)) => CheckResult::ok(format!("{}: {left} days left", place.name)),
        None => CheckResult::info("no token with an expiry date was found"),
    }
}
