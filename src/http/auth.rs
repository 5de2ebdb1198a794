//! Who may use the server, and who asks: the server's own API key, or the callers' keys of Cursor's.

use std::{fmt, sync::Arc};

use subtle::ConstantTimeEq as _;
use warp::http::{HeaderMap, header};

use super::{HttpConfig, keys::ClientKey};
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

    /// The time it takes reveals no more than the key's length.
    fn is(&self, given: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(given).into()
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
    /// Whose key it is, if it is one of `keys.toml`; none for the server's own.
    pub client: Option<Arc<ClientKey>>,
}

impl Requester {
    /// Reads the key from `Authorization: Bearer …`, `x-api-key`, or as Google's clients send it:
    /// `x-goog-api-key` or `?key=`. `callers` is whether it must be one of Cursor's, of the caller's
    /// own.
    ///
    /// # Errors
    /// `Unauthorized`.
    pub fn of(
        config: &HttpConfig,
        callers: bool,
        headers: &HeaderMap,
        query: &str,
    ) -> Result<Self, TurnError> {
        let given = given(headers, query);
        let digest = |given: &Vec<u8>| format!("{:032x}", xxhash_rust::xxh3::xxh3_128(given));
        let mut asks = Self {
            owner: given.as_ref().map(digest),
            ..Self::default()
        };
        if callers {
            let key = given.and_then(|given| CallerKey::new(&given));
            asks.key = Some(key.ok_or_else(|| {
                unauthorized(
                    "this server works with each caller's own Cursor API key; send yours as \
                     `Authorization: Bearer …` or `x-api-key`",
                )
            })?);
            return Ok(asks);
        }
        let own = config.api_key.as_ref();
        if own.is_none() && config.keys.is_empty() {
            return Ok(asks);
        }
        let wrong = match given {
            Some(given) if own.is_some_and(|own| own.is(&given)) => return Ok(asks),
            Some(given) => match config.keys.find(&given) {
                Some(key) => {
                    asks.client = Some(key);
                    return Ok(asks);
                }
                None => "the API key is not the one of this server",
            },
            None => "this server needs its API key",
        };
        Err(unauthorized(format!(
            "{wrong}; send what it was started with as `Authorization: Bearer …` or `x-api-key`"
        )))
    }
}

fn unauthorized(message: impl Into<String>) -> TurnError {
    TurnError::new(ErrorKind::Unauthorized, message)
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
        let mut config = HttpConfig::new(std::net::Ipv4Addr::LOCALHOST.into());
        config.api_key = ApiKey::new(" s3cret\n");
        let config = config;
        let allowed = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            Requester::of(&config, false, &headers, "").is_ok()
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
        let by_query =
            |query: &str| Requester::of(&config, false, &HeaderMap::new(), query).is_ok();
        assert!(by_query("alt=sse&key=s3cret") && by_query("key=s3%63ret"));
        for query in ["", "key=", "key=s3cre", "keys=s3cret", "a=s3cret"] {
            assert!(!by_query(query), "{query}");
        }
        assert!(ApiKey::new(" \n").is_none());
        assert!(!format!("{:?}", config.api_key).contains("s3cret"));
    }
}
