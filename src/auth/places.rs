//! Every place that a credential can be in, in the order in which the CLI takes them (FACTS 1.4,
//! 1.5).

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
};

/// What a credential is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A key: requests may be billed one by one instead of to the plan.
    ApiKey,
    /// A token of an account.
    Token,
    /// What the CLI's own login keeps.
    Login,
    /// Something that is neither.
    Unknown,
}

/// A place that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The variable's name or the file's path.
    pub name: String,
    /// What is there; `None` if nothing is.
    pub kind: Option<Kind>,
    /// The credential, with all but its kind and its end hidden.
    pub masked: Option<String>,
    /// What a token says of itself.
    pub claims: Option<Claims>,
    /// Whether the CLI can renew it by itself.
    pub renewable: bool,
    /// What else there is to say.
    pub note: Option<String>,
}

/// What the CLI will use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A key of the environment.
    ApiKey,
    /// A token of the environment.
    Token,
    /// Its own login, if it has one.
    Login,
}

/// What the CLI will use when we start it in this environment.
#[must_use]
pub fn source(env: &Env) -> Source {
    let child: Env = env.for_agent(&[]).into_iter().collect();
    match (child.get("CURSOR_API_KEY"), child.get("CURSOR_AUTH_TOKEN")) {
        (Some(_), _) => Source::ApiKey,
        (None, Some(_)) => Source::Token,
        (None, None) => Source::Login,
    }
}

/// Looks everywhere. Blocking.
#[must_use]
pub fn places(env: &Env) -> Vec<Place> {
    let variables = ["CURSOR_API_KEY", "CURSOR_AUTH_TOKEN", "CURSOR_ACCESS_TOKEN"];
    let in_env = variables.iter().map(|name| {
        let value = env.get(name).map(|value| value.to_string_lossy());
        let mut place = place(name, value.as_deref());
        if place.kind == Some(Kind::Unknown) && *name != "CURSOR_ACCESS_TOKEN" {
            place.kind = Some(match *name {
                "CURSOR_API_KEY" => Kind::ApiKey,
                _ => Kind::Token,
            });
        }
        place
    });
    let mut places: Vec<Place> = in_env.collect();
    let mut seen = HashSet::new();
    // The CLI does not know this name, so a text of another shape has nowhere to go.
    if let Some(place) = places
        .iter_mut()
        .find(|place| place.kind == Some(Kind::Unknown))
    {
        place.note = Some("is neither a key nor a token, and is ignored".to_owned());
    }
    let files = candidates(env)
        .into_iter()
        .filter(|file| seen.insert(file.clone()));
    places.extend(files.map(|file| in_file(&file)));
    places
}

/// Where `auth.json` may be.
fn candidates(env: &Env) -> Vec<PathBuf> {
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
    let text = match std::fs::read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return place(&name, None),
        Err(error) => {
            return Place {
                note: Some(format!("cannot be read: {error}")),
                ..place(&name, None)
            };
        }
    };
    let Ok(Value::Object(content)) = serde_json::from_slice(&text) else {
        return Place {
            note: Some("is not the JSON that the CLI writes".to_owned()),
            ..place(&name, None)
        };
    };
    let field = |key: &str| content.get(key)?.as_str().filter(|text| !text.is_empty());
    let Some(secret) = field("accessToken").or_else(|| field("apiKey")) else {
        return Place {
            note: Some("holds no credential".to_owned()),
            ..place(&name, None)
        };
    };
    Place {
        kind: Some(Kind::Login),
        renewable: field("refreshToken").is_some() || field("apiKey").is_some(),
        ..place(&name, Some(secret))
    }
}

fn place(name: &str, secret: Option<&str>) -> Place {
    let claims = secret.and_then(claims);
    let kind = secret.map(|secret| match &claims {
        Some(_) => Kind::Token,
        None if matches!(Credential::of(secret), Some(Credential::Key(_))) => Kind::ApiKey,
        None => Kind::Unknown,
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

/// `crsr_…f00d`: enough to tell two apart.
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
    /// What to worry about, now.
    #[must_use]
    pub fn worry(&self, now: SystemTime) -> Option<String> {
        if self.kind == Some(Kind::Unknown) {
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
                (Some(Kind::ApiKey), Some("crsr_…cdef"), None),
                (None, None, None),
                (
                    Some(Kind::Unknown),
                    Some("…"),
                    Some("is neither a key nor a token, and is ignored")
                ),
                (Some(Kind::Login), Some("eyJ…dXJl"), None),
                (None, None, Some("holds no credential")),
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
            (&[][..], Source::Login),
            (&[("CURSOR_API_KEY", "")], Source::Login),
            (&[("CURSOR_ACCESS_TOKEN", "crsr_1")], Source::ApiKey),
            (&[("CURSOR_ACCESS_TOKEN", TOKEN)], Source::Token),
            (
                &[("CURSOR_AUTH_TOKEN", "t"), ("CURSOR_API_KEY", "k")],
                Source::ApiKey,
            ),
        ] {
            let env: Env = pairs.iter().copied().collect();
            assert_eq!(super::source(&env), source, "{pairs:?}");
        }
    }
}
