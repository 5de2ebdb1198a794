//! The keys of several clients (`keys.toml`): each with a name, and what it may ask for.
//!
//! The file holds digests, so that whoever reads it can't use the keys.

use std::{num::NonZeroU32, sync::Arc};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// The file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// It is not TOML of this form.
    #[error("{0}")]
    Form(#[from] toml::de::Error),
    /// A value is wrong.
    #[error("key `{name}`: {reason}")]
    Value {
        /// The key's name.
        name: String,
        /// What is wrong.
        reason: &'static str,
    },
}

/// A client's key.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientKey {
    /// Its name in the history and in messages.
    pub name: String,
    digest: [u8; 32],
    /// The models that it may use, with `*` for any text; `None` is all.
    pub models: Option<Vec<String>>,
    /// How many turns it may begin in a minute.
    pub requests_per_minute: Option<NonZeroU32>,
    /// How many US dollars it may spend on a day of UTC.
    pub daily_budget: Option<f64>,
}

/// All keys of clients.
#[derive(Debug, Clone, Default)]
pub struct KeyRing(Vec<Arc<ClientKey>>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    #[serde(default)]
    key: Vec<KeyTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyTable {
    name: String,
    sha256: String,
    models: Option<Vec<String>>,
    requests_per_minute: Option<NonZeroU32>,
    daily_budget: Option<f64>,
}

impl KeyRing {
    /// Reads the file's text.
    ///
    /// # Errors
    /// [`KeysError`]: it names what is wrong.
    pub fn parse(text: &str) -> Result<Self, KeysError> {
        let file: KeyFile = toml::from_str(text)?;
        let mut keys: Vec<Arc<ClientKey>> = Vec::new();
        for table in file.key {
            let wrong = |reason| KeysError::Value {
                name: table.name.clone(),
                reason,
            };
            let digest = digest_of(&table.sha256)
                .ok_or_else(|| wrong("`sha256` is 64 hexadecimal digits; see `sha256sum`"))?;
            if table.name.is_empty() || table.name.chars().any(char::is_control) {
                return Err(wrong("`name` is a word"));
            }
            if keys.iter().any(|key| key.name == table.name) {
                return Err(wrong("there are two of this name"));
            }
            if keys.iter().any(|key| key.digest == digest) {
                return Err(wrong("another one has the same `sha256`"));
            }
            let budget = table.daily_budget;
            if budget.is_some_and(|dollars| !dollars.is_finite() || dollars <= 0.0) {
                return Err(wrong("`daily_budget` is an amount above 0"));
            }
            keys.push(Arc::new(ClientKey {
                name: table.name,
                digest,
                models: table.models,
                requests_per_minute: table.requests_per_minute,
                daily_budget: budget,
            }));
        }
        Ok(Self(keys))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key that was sent. The time it takes tells nothing of the keys.
    pub(super) fn find(&self, given: &[u8]) -> Option<Arc<ClientKey>> {
        let digest: [u8; 32] = Sha256::digest(given).into();
        let mut found = None;
        for key in &self.0 {
            if key.digest.ct_eq(&digest).into() {
                found = Some(key);
            }
        }
        found.cloned()
    }
}

impl ClientKey {
    /// Whether it may use the model.
    pub(super) fn allows(&self, model: &str) -> bool {
        let Some(models) = &self.models else {
            return true;
        };
        models.iter().any(|pattern| matches(pattern, model))
    }
}

/// Whether the text fits the pattern, in which `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

fn digest_of(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Of `s3cret`.
    const DIGEST: &str = "1ec1c26b50d5d3c58d9583181af8076655fe00756bf7285940ba3670f99fcba0";

    #[test]
    fn a_key_is_known_by_its_digest() {
        let text = format!(
            "[[key]]\nname = \"ci\"\nsha256 = \"{DIGEST}\"\nmodels = [\"auto\", \"gpt-*\"]\n\
             requests_per_minute = 3\ndaily_budget = 2.5\n"
        );
        let keys = KeyRing::parse(&text).unwrap();
        let key = keys.find(b"s3cret").unwrap();
        assert_eq!((key.name.as_str(), key.daily_budget), ("ci", Some(2.5)));
        for other in ["", "s3cre", "s3cret2", DIGEST] {
            assert!(keys.find(other.as_bytes()).is_none(), "{other}");
        }
        assert!(key.allows("auto") && key.allows("gpt-5"));
        assert!(!key.allows("auto-2") && !key.allows("my-gpt-5"));
        assert!(KeyRing::parse("").unwrap().is_empty());
    }

    #[test]
    fn patterns() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*c", "acb", false),
            ("*b*", "abc", true),
            ("a*b*c", "axbxc", true),
            ("a*b*c", "axcxb", false),
            ("aba", "ab", false),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let key = |name: &str, rest: &str| format!("[[key]]\nname = \"{name}\"\n{rest}\n");
        let good = format!("sha256 = \"{DIGEST}\"");
        for (text, words) in [
            (key("a", ""), "sha256"),
            (key("a", "sha256 = \"12\""), "64 hexadecimal"),
            (key("", &good), "word"),
            (key("a", &format!("{good}\nmodel = \"x\"")), "model"),
            (key("a", &format!("{good}\ndaily_budget = -1.0")), "above 0"),
            (
                key("a", &format!("{good}\nrequests_per_minute = 0")),
                "requests_per_minute",
            ),
            (key("a", &good) + &key("a", &good), "two of this name"),
            (key("a", &good) + &key("b", &good), "same `sha256`"),
            ("keys = 1".to_owned(), "keys"),
        ] {
            let error = KeyRing::parse(&text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
