//! Reads the claims of a JSON web token, without checking its signature.
//!
//! Seen in Cursor's: `sub`, `time` (string or number), `randomness`, `exp`, `iss`, `scope`, `aud`,
//! `type: "session"`, HS256. Any of them may be missing.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{
    Engine as _,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde_json::Value;

use crate::credential::Credential;

/// The claims that may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// When it expires.
    pub expires: Option<SystemTime>,
    /// Its issuer.
    pub issuer: Option<String>,
    /// Its type, such as `session`.
    pub kind: Option<String>,
}

impl Claims {
    /// The whole days until it expires; negative afterwards.
    #[must_use]
    pub fn days_left(&self, now: SystemTime) -> Option<i64> {
        let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).ok();
        let (expires, now) = (seconds(self.expires?)?.as_secs(), seconds(now)?.as_secs());
        let left = i64::try_from(expires).ok()? - i64::try_from(now).ok()?;
        Some(left.div_euclid(86_400))
    }
}

/// The claims of a token, perhaps behind a user's id (`user_…::`); `None` if it is not a token.
#[must_use]
pub fn claims(token: &str) -> Option<Claims> {
    let Some(Credential::Token(token)) = Credential::of(token) else {
        return None;
    };
    let payload = token.split('.').nth(1)?;
    let forgiving = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let base64 = GeneralPurpose::new(&base64::alphabet::URL_SAFE, forgiving);
    let payload: Value = serde_json::from_slice(&base64.decode(payload).ok()?).ok()?;
    let text = |name: &str| Some(payload.get(name)?.as_str()?.to_owned());
    let number = |value: &Value| match value {
        Value::Number(number) => number.as_u64().or_else(|| floor(number.as_f64()?)),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    let expires = payload.as_object()?.get("exp").and_then(number);
    Some(Claims {
        expires: expires.and_then(|at| UNIX_EPOCH.checked_add(Duration::from_secs(at))),
        issuer: text("iss"),
        kind: text("type"),
    })
}

fn floor(number: f64) -> Option<u64> {
    Duration::try_from_secs_f64(number)
        .ok()
        .map(|time| time.as_secs())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;

    fn token(payload: &str) -> String {
        format!(
            "eyJhbGciOiJIUzI1NiJ9.{}.c2ln",
            BASE64_URL_SAFE_NO_PAD.encode(payload)
        )
    }

    #[test]
    fn expiry() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        for (payload, left) in [
            (r#"{"exp": 1000000}"#, Some(0)),
            (r#"{"exp": 999999, "type": "session"}"#, Some(-1)),
            (r#"{"exp": "1172800"}"#, Some(2)),
            (r#"{"exp": 1086400.9, "time": 5}"#, Some(1)),
            (r#"{"time": "5"}"#, None),
            (r#"{"exp": -1}"#, None),
            (r#"{"exp": null}"#, None),
        ] {
            assert_eq!(
                claims(&token(payload)).unwrap().days_left(now),
                left,
                "{payload}"
            );
        }
    }

    #[test]
    fn what_is_a_token() {
        let plain = token(r#"{"exp": 1, "iss": "https://a"}"#);
        for (text, is) in [
            (plain.clone(), true),
            (format!("user_1::{plain}"), true),
            (format!("user_1%3A%3A{plain}\n"), true),
            (format!("{plain}.more"), false),
            ("crsr_abcdef".to_owned(), false),
            ("a.b.c".to_owned(), false),
            (token("[1]"), false),
            (token("not json"), false),
            (String::new(), false),
        ] {
            assert_eq!(claims(&text).is_some(), is, "{text}");
        }
    }
}
