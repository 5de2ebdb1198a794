//! The token of the user's login, for requests that the user asks for.

use serde_json::Value;

use super::places::candidates;
use crate::{agent::Env, credential::Credential, sandbox::untrusted};

/// A token. It is never shown.
pub struct LoginToken(String);

impl LoginToken {
    /// The token itself, for a header of a request to Cursor.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// Reads a text; `None` for a key, which is no login.
    fn of(text: &str) -> Option<Self> {
        match Credential::of(text)? {
            Credential::Token(token) => Some(Self(token.to_owned())),
            Credential::Key(_) => None,
        }
    }
}

/// The token from the environment, else from the CLI's file. Blocking. On macOS the CLI keeps its login in the
/// Keychain, which is not read.
#[must_use]
pub fn token(env: &Env) -> Option<LoginToken> {
    let variable = |name: &str| LoginToken::of(&env.get(name)?.to_string_lossy());
    let in_env = ["CURSOR_AUTH_TOKEN", "CURSOR_ACCESS_TOKEN"];
    let in_file = |file: &std::path::Path| {
        let content: Value = serde_json::from_slice(&untrusted::read(file).ok()?).ok()?;
        LoginToken::of(content.get("accessToken")?.as_str()?)
    };
    let found = in_env.into_iter().find_map(variable);
    found.or_else(|| candidates(env).iter().find_map(|file| in_file(file)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_token_and_no_key() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join(".config/cursor");
        std::fs::create_dir_all(&dir).unwrap();
        let found = |more: &[(&str, &str)]| {
            let home = ("HOME", home.path().to_str().unwrap());
            let env: Env = more.iter().copied().chain([home]).collect();
            token(&env).map(|token| token.secret().to_owned())
        };
        assert_eq!(found(&[]), None);
        std::fs::write(dir.join("auth.json"), r#"{"accessToken": "user_1::a.b.c"}"#).unwrap();
        assert_eq!(found(&[]).unwrap(), "a.b.c");
        assert_eq!(found(&[("CURSOR_AUTH_TOKEN", "d.e.f")]).unwrap(), "d.e.f");
        assert_eq!(
            found(&[("CURSOR_ACCESS_TOKEN", "crsr_1")]).unwrap(),
            "a.b.c"
        );
        std::fs::write(dir.join("auth.json"), r#"{"apiKey": "crsr_1"}"#).unwrap();
        assert_eq!(found(&[]), None);
    }
}
