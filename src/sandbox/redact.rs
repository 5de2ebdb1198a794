//! Takes secrets and addresses out of text that may reach a log or an error message.

use std::borrow::Cow;

use crate::credential;

/// What stands in place of a secret.
const MARK: &str = "[redacted]";

/// The text without Cursor keys (`key_…`, `crsr_…`), JSON web tokens, bearer tokens and e-mail
/// addresses.
#[must_use]
pub fn redact(text: &str) -> Cow<'_, str> {
    let mut clean = String::new();
    let mut copied = 0;
    let mut after_bearer = false;
    for (start, word) in words(text) {
        if after_bearer || is_secret(word) {
            clean.push_str(&text[copied..start]);
            clean.push_str(MARK);
            copied = start + word.len();
        }
        after_bearer = word.eq_ignore_ascii_case("bearer");
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    clean.push_str(&text[copied..]);
    Cow::Owned(clean)
}

/// The runs of characters that keys, tokens and addresses are made of, with their positions. Full
/// stops at the end belong to the sentence.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_-.+~@%".contains(c);
    text.split(move |c| !is_part(c))
        .map(|word| word.trim_matches('.'))
        .filter(|word| !word.is_empty())
        .map(|word| (word.as_ptr() as usize - text.as_ptr() as usize, word))
}

fn is_secret(word: &str) -> bool {
    credential::is_secret(word) || is_address(word)
}

fn is_address(word: &str) -> bool {
    word.rsplit_once('@').is_some_and(|(name, host)| {
        let top = host.rsplit_once('.').map_or("", |(_, top)| top);
        !name.is_empty() && top.len() >= 2 && top.chars().all(|c| c.is_ascii_alphabetic())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_and_words_stay() {
        let table = [
            ("bad key key_0123abcdef.", "bad key [redacted]."),
            (
                "CURSOR_API_KEY=crsr_abcdef, x",
                "CURSOR_API_KEY=[redacted], x",
            ),
            (
                "Authorization: Bearer a1.b2~c3-d4\n",
                "Authorization: Bearer [redacted]\n",
            ),
            ("t: \"eyJhbGciOi.eyJzdWIiOiIx.sig-_\"", "t: \"[redacted]\""),
            ("user_1%3A%3AeyJhbGciOi.eyJzdWIiOiIx.s", "[redacted]"),
            (
                "Logged in as a.b+c@mail.example.com!",
                "Logged in as [redacted]!",
            ),
            ("https://me:pw@host.example/x", "https://me:[redacted]/x"),
        ];
        for (text, clean) in table {
            assert_eq!(redact(text), clean);
        }
        for text in [
            "key_id, my_key_value and keys",
            "/opt/pkg@1.2.3/x @scope/name 2026.10.01-e373342",
            "a.b.c exceeded 1.2.3",
            "the bearer",
            "",
        ] {
            assert!(
                matches!(redact(text), Cow::Borrowed(same) if same == text),
                "{text}"
            );
        }
    }
}
