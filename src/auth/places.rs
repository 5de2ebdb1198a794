//! Every place where a credential can be, in the CLI's order of precedence (FACTS 1.4, 1.5).

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    time::SystemTime,
};

use serde::Serialize;
use serde_json::Value;

use super::jwt::{Claims, claims};
use crate::{
    agent::Env,
    credential::{Credential, KEYS},
    sandbox::untrusted,
};

/// The kind of a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// An API key: requests may be billed one by one instead of to the plan.
    ApiKey,
    /// An account's token.
    Token,
    /// The CLI's login.
    Login,
    /// None of these.
    Unknown,
}

/// A place that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The variable's name or the file's path.
    pub name: String,
    /// What was found; `None` if nothing.
    pub kind: Option<CredentialKind>,
    /// The credential, hidden except for its prefix and its end.
    pub masked: Option<String>,
    /// A token's claims.
    pub claims: Option<Claims>,
    /// Whether the CLI can renew it by itself.
    pub renewable: bool,
    /// A remark.
    pub note: Option<String>,
}

/// The credential that the CLI will use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialSource {
    /// An API key from the environment.
    ApiKey,
    /// A token from the environment.
    Token,
    /// The CLI's login, if there is one.
    Login,
}

/// The credential that the CLI will use in this environment.
#[must_use]
pub fn source(env: &Env) -> CredentialSource {
    let child: Env = env.for_agent(&[]).into_iter().collect();
    match (child.get("CURSOR_API_KEY"), child.get("CURSOR_AUTH_TOKEN")) {
        (Some(_), _) => CredentialSource::ApiKey,
        (None, Some(_)) => CredentialSource::Token,
        (None, None) => CredentialSource::Login,
    }
}

/// Checks all places. Blocking.
#[must_use]
pub fn places(env: &Env) -> Vec<Place> {
    let variables = ["CURSOR_API_KEY", "CURSOR_AUTH_TOKEN", "CURSOR_ACCESS_TOKEN"];
    let in_env = variables.iter().map(|name| {
        let value = env.get(name).map(|value| value.to_string_lossy());
        let mut place = place(name, value.as_deref());
        if place.kind == Some(CredentialKind::Unknown) && *name != "CURSOR_ACCESS_TOKEN" {
            place.kind = Some(match *name {
                "CURSOR_API_KEY" => CredentialKind::ApiKey,
                _ => CredentialKind::Token,
            });
        }
        place
    });
    let mut places: Vec<Place> = in_env.collect();
    let mut seen = HashSet::new();
    // The CLI does not read this variable: only a key or a token can be passed on.
    if let Some(place) = places
        .iter_mut()
        .find(|place| place.kind == Some(CredentialKind::Unknown))
    {
        place.note = Some("is neither an API key nor a token, so it is ignored".to_owned());
    }
    let files = candidates(env)
        .into_iter()
        .filter(|file| seen.insert(file.clone()));
    places.extend(files.map(|file| in_file(&file)));
    places
}

/// Where `auth.json` may be.
pub(super) fn candidates(env: &Env) -> Vec<PathBuf> {
    let dir = |name: &str| env.get(name).map(PathBuf::from);
    let home = |rest: &str| Some(dir("HOME")?.join(rest));
    let dirs = [
        dir("CURSOR_CONFIG_DIR"),
        dir("XDG_CONFIG_HOME").map(|dir| dir.join("cursor")),
        home(".config/cursor"),
        home(".cursor"),
        dir("APPDATA").map(|dir| dir.join("Cursor")),
    ];
    dirs.into_iter()
        .flatten()
        .map(|dir| dir.join("auth.json"))
        .collect()
}

fn in_file(file: &Path) -> Place {
    let name = file.display().to_string();
    let noted = |note: &str| Place {
        note: Some(note.to_owned()),
        ..place(&name, None)
    };
    let text = match untrusted::read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return place(&name, None),
        Err(error) => return noted(&format!("cannot be read: {error}")),
    };
    let Ok(Value::Object(content)) = serde_json::from_slice(&text) else {
        return noted("is not valid JSON");
    };
    let field = |key: &str| content.get(key)?.as_str().filter(|text| !text.is_empty());
    let Some(secret) = field("accessToken").or_else(|| field("apiKey")) else {
        return noted("contains no credential");
    };
    Place {
        kind: Some(CredentialKind::Login),
        renewable: field("refreshToken").is_some() || field("apiKey").is_some(),
        ..place(&name, Some(secret))
    }
}

fn place(name: &str, secret: Option<&str>) -> Place {
    let claims = secret.and_then(claims);
    let kind = secret.map(|secret| match &claims {
        Some(_) => CredentialKind::Token,
        None if matches!(Credential::of(secret), Some(Credential::Key(_))) => {
            CredentialKind::ApiKey
        }
        None => CredentialKind::Unknown,
    });
    Place {
        name: name.to_owned(),
        kind,
        masked: secret.map(mask),
        claims,
        renewable: false,
        note: None,
    }
}

/// `crsr_…f00d`: enough to distinguish two.
fn mask(secret: &str) -> String {
    let secret = secret.trim();
    let mut begin = KEYS.iter().chain(&["user_", "eyJ"]);
    let begin = begin.find(|begin| secret.starts_with(**begin));
    let count = secret.chars().count();
    let end: String = if count >= 24 {
        secret.chars().skip(count - 4).collect()
    } else {
        String::new()
    };
    format!("{}…{end}", begin.unwrap_or(&""))
}

impl Place {
    /// A warning about its expiry or shape.
    #[must_use]
    pub fn worry(&self, now: SystemTime) -> Option<String> {
        if self.kind == Some(CredentialKind::Unknown) {
            return self.note.clone();
        }
        let left = self.claims.as_ref()?.days_left(now)?;
        match left {
            ..0 => Some("has expired".to_owned()),
            0..3 if !self.renewable => Some(format!("expires in {left} days")),
            _ => None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOiAxMDAwMDAwfQ.c2lnbmF0dXJl";

    #[test]
    fn every_place_is_told_and_no_secret() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join(".config/cursor");
        std::fs::create_dir_all(&dir).unwrap();
        let content = format!(r#"{{"accessToken": "{TOKEN}", "refreshToken": "r"}}"#);
        std::fs::write(dir.join("auth.json"), content).unwrap();
        std::fs::create_dir_all(home.path().join(".cursor")).unwrap();
        std::fs::write(home.path().join(".cursor/auth.json"), "{}").unwrap();
        let env: Env = [
            ("HOME", home.path().to_str().unwrap()),
            (
                "XDG_CONFIG_HOME",
                home.path().join(".config").to_str().unwrap(),
            ),
            ("CURSOR_API_KEY", "crsr_0123456789abcdef0123456789abcdef"),
            ("CURSOR_ACCESS_TOKEN", "what is this"),
        ]
        .into_iter()
        .collect();
        let places = places(&env);
        let shown: Vec<_> = places
            .iter()
            .map(|place| (place.kind, place.masked.as_deref(), place.note.as_deref()))
            .collect();
        assert_eq!(
            shown,
            [
                (Some(CredentialKind::ApiKey), Some("crsr_…cdef"), None),
                (None, None, None),
                (
                    Some(CredentialKind::Unknown),
                    Some("…"),
                    Some("is neither an API key nor a token, so it is ignored")
                ),
                (Some(CredentialKind::Login), Some("eyJ…dXJl"), None),
                (None, None, Some("contains no credential")),
            ]
        );
        let login = &places[3];
        assert!(login.renewable);
        let later =
            |days: u64| SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(days * 86_400);
        assert_eq!(login.worry(later(10)), None);
        assert_eq!(login.worry(later(12)).unwrap(), "has expired");
        let bare = Place {
            renewable: false,
            ..login.clone()
        };
        assert_eq!(bare.worry(later(10)).unwrap(), "expires in 1 days");
        assert_eq!(bare.worry(later(3)), None);
    }

    #[test]
    fn what_the_cli_will_use() {
        for (pairs, source) in [
            (&[][..], CredentialSource::Login),
            (&[("CURSOR_API_KEY", "")], CredentialSource::Login),
            (
                &[("CURSOR_ACCESS_TOKEN", "crsr_1")],
                CredentialSource::ApiKey,
            ),
            (&[("CURSOR_ACCESS_TOKEN", TOKEN)], CredentialSource::Token),
            (
                &[("CURSOR_AUTH_TOKEN", "t"), ("CURSOR_API_KEY", "k")],
                CredentialSource::ApiKey,
            ),
        ] {
            let env: Env = pairs.iter().copied().collect();
            assert_eq!(super::source(&env), source, "{pairs:?}");
        }
    }
}
