//! Whether a token has expired or will soon. Tokens are read locally, for their claims.

use super::{CheckResult, Checked, Context};
use crate::auth::{self, Place};

pub(super) async fn check(context: &Context) -> Checked {
    let env = context.env.clone();
    let places = tokio::task::spawn_blocking(move || auth::places(&env)).await;
    let places =
        places.map_err(|_| CheckResult::warning("the credential files could not be read"))?;
    let days_left = |place: &Place| place.claims.as_ref()?.days_left(context.now);
    let worries: Vec<String> = places
        .iter()
        .filter_map(|place| Some(format!("{} {}", place.name, place.worry(context.now)?)))
        .collect();
    if !worries.is_empty() {
        let has_ended =
            |place: &Place| days_left(place).is_some_and(|left| left < 0) && !place.renewable;
        let result = match places.iter().any(has_ended) {
            true => CheckResult::problem(worries.join("; ")),
            false => CheckResult::warning(worries.join("; ")),
        };
        return Ok(result.hint("run `open-cursor login`, or renew the token in the environment"));
    }
    let left = places
        .iter()
        .filter_map(|place| Some((place, days_left(place)?)))
        .min_by_key(|(_, left)| *left);
    Ok(match left {
        Some((place, left)) => CheckResult::ok(format!("{}: {left} days left", place.name)),
        None => CheckResult::info("no token with an expiry date was found"),
    })
}
