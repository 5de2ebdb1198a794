//! The key of Cursor's that a request brings with it.

use std::fmt;

/// How long one may be. Cursor's have some hundred characters.
const LONGEST: usize = 4096;

/// A caller's own key, which runs of this caller use and no others. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct CallerKey(String);

impl CallerKey {
    /// `None` if it is not one word of visible ASCII, as every key is.
    #[must_use]
    pub fn new(text: &[u8]) -> Option<Self> {
        let text = str::from_utf8(text).ok()?;
        let is_word = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        (is_word && text.len() <= LONGEST).then(|| Self(text.to_owned()))
    }

    /// The key itself.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// A text without the key: an agent's complaint may repeat it, and end up in a log.
    #[must_use]
    pub fn hidden_in(&self, text: String) -> String {
        // Less than that is no key, and may stand in any text.
        if self.0.len() < 4 || !text.contains(&self.0) {
            return text;
        }
        text.replace(&self.0, "[key]")
    }
}

impl fmt::Debug for CallerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallerKey")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn one_word_that_is_never_shown() {
        for wrong in ["", " ", "a b", "a\n", "é", &"x".repeat(4097)] {
            assert!(CallerKey::new(wrong.as_bytes()).is_none(), "{wrong:?}");
        }
        let key = CallerKey::new(b"s3cret").unwrap();
        assert_eq!(format!("{key:?}"), "CallerKey");
        let hidden = key.hidden_in("bad key s3cret: no s3cret".to_owned());
        assert_eq!(hidden, "bad key [key]: no [key]");
    }
}
