//! What Cursor's credentials look like: keys, and JSON web tokens, alone or behind a user's id.
//!
//! The only place that knows these shapes. It reads no file and no variable.

/// What a text is, by its shape alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential<'a> {
    /// `key_…` or `crsr_…`.
    Key(&'a str),
    /// Three base64url parts. A token copied from the browser has the user's id before it
    /// (`user_…::` or `user_…%3A%3A`), which is not part of it.
    Token(&'a str),
}

/// How keys begin.
pub const KEYS: [&str; 2] = ["crsr_", "key_"];

impl<'a> Credential<'a> {
    /// Reads a text without the white space around it; `None` if it is neither.
    #[must_use]
    pub fn of(text: &'a str) -> Option<Self> {
        let text = text.trim();
        if KEYS.iter().any(|begin| text.starts_with(begin)) {
            return Some(Self::Key(text));
        }
        let token = ["::", "%3A%3A", "%3a%3a"]
            .iter()
            .find_map(|between| Some(text.rsplit_once(between)?.1))
            .unwrap_or(text);
        is_token(token).then_some(Self::Token(token))
    }
}

fn is_token(text: &str) -> bool {
    let is_base64 = |b: u8| b.is_ascii_alphanumeric() || b"-_=".contains(&b);
    text.split('.').count() == 3
        && text
            .split('.')
            .all(|part| !part.is_empty() && part.bytes().all(is_base64))
}

/// Whether a word must not reach a log: a key with at least six characters, or a token whose first
/// part is a JSON object. `a.b.c` and `key_id` are ordinary words.
#[must_use]
pub fn is_secret(word: &str) -> bool {
    let key = KEYS.iter().find_map(|begin| word.strip_prefix(begin));
    let parts: Vec<_> = word.split('.').collect();
    // `eyJ` is `{"` in base64. What surrounds the parts may be encoded in any way.
    let is_token = matches!(parts[..], [head, body, _] if head.contains("eyJ") && body.len() >= 8);
    is_token || key.is_some_and(|rest| rest.len() >= 6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes() {
        for (text, expected) in [
            ("key_1", Some(Credential::Key("key_1"))),
            (" crsr_1\n", Some(Credential::Key("crsr_1"))),
            ("a-b.c_d.e=", Some(Credential::Token("a-b.c_d.e="))),
            ("user_1::a.b.c", Some(Credential::Token("a.b.c"))),
            ("user_1%3A%3Aa.b.c", Some(Credential::Token("a.b.c"))),
            ("user_1%3a%3aa.b.c", Some(Credential::Token("a.b.c"))),
            ("what..ever", None),
            ("a.b", None),
            ("a.b.c.d", None),
            ("", None),
        ] {
            assert_eq!(Credential::of(text), expected, "{text}");
        }
    }

    #[test]
    fn secrets() {
        for (word, secret) in [
            ("key_0123abcdef", true),
            ("crsr_abcdef", true),
            ("key_id", false),
            ("eyJhbGciOi.eyJzdWIiOiIx.sig-_", true),
            ("user_1%3A%3AeyJhbGciOi.eyJzdWIiOiIx.s", true),
            ("a.b.c", false),
            ("2026.10.01-e373342", false),
        ] {
            assert_eq!(is_secret(word), secret, "{word}");
        }
    }
}
