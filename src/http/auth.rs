//! Who may use the server: the keys that requests carry.

use std::{fmt, sync::Arc};

use subtle::ConstantTimeEq as _;
use warp::http::{HeaderMap, header};

use super::keys::{ClientKey, KeyRing};
use crate::{
    dialect::parameters_of,
    turn::{ErrorKind, TurnError},
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

    /// The time it takes reveals no more than the key's length.
    fn is(&self, given: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(given).into()
    }
}

/// Who sends a request, by its key.
#[derive(Debug)]
pub(super) enum Caller {
    /// Who has the server's own key, or anybody where there is none.
    Owner,
    /// Who has a key of a client.
    Client(Arc<ClientKey>),
}

/// Reads the key from `Authorization: Bearer …`, `x-api-key`, or as Google's clients send it:
/// `x-goog-api-key` or `?key=`.
///
/// # Errors
/// `Unauthorized`.
pub(super) fn caller(
    own: Option<&ApiKey>,
    clients: &KeyRing,
    headers: &HeaderMap,
    query: &str,
) -> Result<Caller, TurnError> {
    if own.is_none() && clients.is_empty() {
        return Ok(Caller::Owner);
    }
    let header = |name: &str| Some(headers.get(name)?.as_bytes().to_vec());
    let given = bearer(headers)
        .map(<[u8]>::to_vec)
        .or_else(|| header("x-api-key"))
        .or_else(|| header("x-goog-api-key"))
        .or_else(|| {
            let mut parameters = parameters_of(query);
            parameters.find_map(|(name, value)| (name == "key").then(|| value.into_bytes()))
        });
    let wrong = match given {
        Some(given) => {
            if own.is_some_and(|own| own.is(&given)) {
                return Ok(Caller::Owner);
            }
            if let Some(key) = clients.find(&given) {
                return Ok(Caller::Client(key));
            }
            "the API key is not the one of this server"
        }
        None => "this server needs its API key",
    };
    Err(TurnError::new(
        ErrorKind::Unauthorized,
        format!(
            "{wrong}; send what it was started with as `Authorization: Bearer …` or `x-api-key`"
        ),
    ))
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey")
    }
}

/// Who asks, as far as the request tells: a digest of the key that it carries, whatever that is for.
pub(super) fn owner(headers: &HeaderMap) -> Option<String> {
    let given = bearer(headers).or_else(|| headers.get("x-api-key").map(|key| key.as_bytes()))?;
    Some(format!("{:032x}", xxhash_rust::xxh3::xxh3_128(given)))
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
            caller(Some(&key), &KeyRing::default(), &headers, "").is_ok()
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
        let none = KeyRing::default();
        let by_query = |query: &str| caller(Some(&key), &none, &HeaderMap::new(), query).is_ok();
        assert!(by_query("alt=sse&key=s3cret") && by_query("key=s3%63ret"));
        for query in ["", "key=", "key=s3cre", "keys=s3cret", "a=s3cret"] {
            assert!(!by_query(query), "{query}");
        }
        assert!(ApiKey::new(" \n").is_none());
        assert!(!format!("{key:?}").contains("s3cret"));
    }
}
