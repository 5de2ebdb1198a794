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

/// A client's key, as the file has it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientKey {
    /// Its name in the history and in messages.
    pub name: String,
    /// Its digest in lower case.
    sha256: String,
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
    key: Vec<ClientKey>,
}

impl KeyRing {
    /// Reads the file's text.
    ///
    /// # Errors
    /// [`KeysError`]: it names what is wrong.
    pub fn parse(text: &str) -> Result<Self, KeysError> {
        let file: KeyFile = toml::from_str(text)?;
        let mut keys: Vec<Arc<ClientKey>> = Vec::new();
        for mut key in file.key {
            key.sha256.make_ascii_lowercase();
            if let Some(reason) = key.fault(&keys) {
                let name = key.name;
                return Err(KeysError::Value { name, reason });
            }
            keys.push(Arc::new(key));
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
        let digest = Sha256::digest(given);
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut found = None;
        for key in &self.0 {
            if key.sha256.as_bytes().ct_eq(digest.as_bytes()).into() {
                found = Some(key);
            }
        }
        found.cloned()
    }
}

impl ClientKey {
    /// What is wrong with it, beside those that stand before it.
    fn fault(&self, others: &[Arc<Self>]) -> Option<&'static str> {
        if self.sha256.len() != 64 || !self.sha256.bytes().all(|it| it.is_ascii_hexdigit()) {
            return Some("`sha256` is 64 hexadecimal digits; see `sha256sum`");
        }
        if self.name.is_empty() || self.name.chars().any(char::is_control) {
            return Some("`name` is a word");
        }
        if others.iter().any(|other| other.name == self.name) {
            return Some("there are two of this name");
        }
        if others.iter().any(|other| other.sha256 == self.sha256) {
            return Some("another one has the same `sha256`");
        }
        let is_budget = |dollars: f64| dollars.is_finite() && dollars > 0.0;
        let has_fault = self.daily_budget.is_some_and(|it| !is_budget(it));
        has_fault.then_some("`daily_budget` is an amount above 0")
    }

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
