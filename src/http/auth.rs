//! Who may use the server, and who asks: the server's own API key, or the callers' keys of Cursor's.

use std::fmt;

use subtle::ConstantTimeEq as _;
use warp::http::{HeaderMap, header};

use crate::{
    dialect::parameters_of,
    turn::{CallerKey, ErrorKind, TurnError},
};

/// The key that clients must send. Never shown.
#[derive(Clone)]
pub struct ApiKey(String);

impl ApiKey {
    /// The key, without the white space around it; `None` if that leaves nothing.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let key = text.trim();
        (!key.is_empty()).then(|| Self(key.to_owned()))
    }

    /// Checks `Authorization: Bearer …`, `x-api-key`, or as Google's clients send it:
    /// `x-goog-api-key` or `?key=`. The time it takes reveals no more than the key's length.
    ///
    /// # Errors
    /// `Unauthorized`.
    pub fn check(&self, headers: &HeaderMap, query: &str) -> Result<(), TurnError> {
        let wrong = match given(headers, query) {
            Some(given) if self.0.as_bytes().ct_eq(&given).into() => return Ok(()),
            Some(_) => "the API key is not the one of this server",
            None => "this server needs its API key",
        };
        Err(TurnError::new(
            ErrorKind::Unauthorized,
            format!(
                "{wrong}; send what it was started with as `Authorization: Bearer …` or `x-api-key`"
            ),
        ))
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey")
    }
}

/// Who asks.
#[derive(Debug, Default)]
pub(super) struct Requester {
    /// A digest of the key that the request carries, whatever that is for.
    pub owner: Option<String>,
    /// The key itself, where runs use the callers' own.
    pub key: Option<CallerKey>,
}

impl Requester {
    /// As far as the request tells. `callers` is whether it must bring a key of Cursor's.
    ///
    /// # Errors
    /// `Unauthorized`, if it must and does not.
    pub fn of(headers: &HeaderMap, query: &str, callers: bool) -> Result<Self, TurnError> {
        let given = given(headers, query);
        let digest = |given: &Vec<u8>| format!("{:032x}", xxhash_rust::xxh3::xxh3_128(given));
        let owner = given.as_ref().map(digest);
        if !callers {
            return Ok(Self { owner, key: None });
        }
        let key = given.and_then(|given| CallerKey::new(&given));
        let key = key.ok_or_else(|| {
            TurnError::new(
                ErrorKind::Unauthorized,
                "this server works with each caller's own Cursor API key; send yours as \
                 `Authorization: Bearer …` or `x-api-key`",
            )
        })?;
        Ok(Self {
            owner,
            key: Some(key),
        })
    }
}

/// The key that a request carries, wherever its dialect has it.
fn given(headers: &HeaderMap, query: &str) -> Option<Vec<u8>> {
    let header = |name: &str| Some(headers.get(name)?.as_bytes().to_vec());
    bearer(headers)
        .map(<[u8]>::to_vec)
        .or_else(|| header("x-api-key"))
        .or_else(|| header("x-goog-api-key"))
        .or_else(|| {
            let mut parameters = parameters_of(query);
            parameters.find_map(|(name, value)| (name == "key").then(|| value.into_bytes()))
        })
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked("Bearer ".len())?;
    scheme
        .eq_ignore_ascii_case(b"Bearer ")
        .then(|| token.trim_ascii())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn one_key_in_any_place() {
        let key = ApiKey::new(" s3cret\n").unwrap();
        let allowed = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            key.check(&headers, "").is_ok()
        };
        for (name, value) in [
            ("authorization", "Bearer s3cret"),
            ("authorization", "bearer  s3cret"),
            ("x-api-key", "s3cret"),
            ("x-goog-api-key", "s3cret"),
        ] {
            assert!(allowed(name, value), "{name}: {value}");
        }
        for (name, value) in [
            ("authorization", "Bearer s3cret2"),
            ("authorization", "Bearer s3cre"),
            ("authorization", "Bearer "),
            ("authorization", "Basic s3cret"),
            ("authorization", "s3cret"),
            ("x-api-key", "S3cret"),
            ("x-api-key", ""),
            ("api", "s3cret"),
        ] {
            assert!(!allowed(name, value), "{name}: {value}");
        }
        let by_query = |query: &str| key.check(&HeaderMap::new(), query).is_ok();
        assert!(by_query("alt=sse&key=s3cret") && by_query("key=s3%63ret"));
        for query in ["", "key=", "key=s3cre", "keys=s3cret", "a=s3cret"] {
            assert!(!by_query(query), "{query}");
        }
        assert!(ApiKey::new(" \n").is_none());
        assert!(!format!("{key:?}").contains("s3cret"));
    }
}
