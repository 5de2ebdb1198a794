//! The API key that the bridge works with.
//!
//! `CURSOR_API_KEY`, else the key that the SDK's own login keeps in `~/.cursor/sdk/auth.json`
//! (`credential-store.d.ts`: version, backendUrl, apiKey, apiKeyExpiresAtMs). That file is only read.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::Deserialize;

use crate::{agent::Env, turn::CallerKey};

/// The variable that wins.
const VARIABLE: &str = "CURSOR_API_KEY";

/// The variable whose key is taken for the other's, as for the CLI.
const ACCESS_TOKEN: &str = "CURSOR_ACCESS_TOKEN";

/// A key and where it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundKey {
    /// The key.
    pub key: CallerKey,
    /// The variable's name or the file's path.
    pub origin: String,
    /// Whose it is, if that is known.
    pub email: Option<String>,
}

/// Why there is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoKey {
    /// Neither place has one.
    #[error(
        "the bridge needs a Cursor API key: set CURSOR_API_KEY (https://cursor.com/dashboard has them)"
    )]
    Missing,
    /// The stored one is not valid any more.
    #[error("the API key in {} has expired: log in with Cursor's SDK again, or set CURSOR_API_KEY", .0.display())]
    Expired(PathBuf),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredKey {
    version: u64,
    api_key: String,
    api_key_expires_at_ms: Option<u64>,
    email: Option<String>,
}

/// Looks for a key. Blocking.
///
/// # Errors
/// [`NoKey`].
pub fn find(env: &Env) -> Result<FoundKey, NoKey> {
    find_at(env, SystemTime::now())
}

fn find_at(env: &Env, now: SystemTime) -> Result<FoundKey, NoKey> {
    // Also a key in CURSOR_ACCESS_TOKEN, as for the CLI.
    let child: Env = env.for_agent(&[]).into_iter().collect();
    if let Some(key) = child.get(VARIABLE).and_then(|value| key(value.to_str()?)) {
        let is_named = env.get(VARIABLE).is_some();
        let origin = if is_named { VARIABLE } else { ACCESS_TOKEN }.to_owned();
        return Ok(FoundKey {
            key,
            origin,
            email: None,
        });
    }
    let home = env.get("HOME").map(Path::new).ok_or(NoKey::Missing)?;
    let path = home.join(".cursor/sdk/auth.json");
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let stored: StoredKey = serde_json::from_str(&text).map_err(|_| NoKey::Missing)?;
    let key = key(&stored.api_key).filter(|_| stored.version == 1);
    let key = key.ok_or(NoKey::Missing)?;
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let end = stored.api_key_expires_at_ms.map(Duration::from_millis);
    if end.is_some_and(|end| end <= now) {
        return Err(NoKey::Expired(path));
    }
    Ok(FoundKey {
        key,
        origin: path.display().to_string(),
        email: stored.email,
    })
}

fn key(text: &str) -> Option<CallerKey> {
    CallerKey::new(text.trim().as_bytes())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_wins_and_an_expired_key_is_none() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str, value: &str| -> Env {
            let pairs = [("HOME", home.path().to_str().unwrap()), (name, value)];
            pairs.into_iter().collect()
        };
        let now = UNIX_EPOCH + Duration::from_millis(1000);
        let find = |name: &str, value: &str| find_at(&at(name, value), now);
        assert_eq!(find("X", ""), Err(NoKey::Missing));
        let found = find("CURSOR_API_KEY", " key_1 ").unwrap();
        assert_eq!(
            (found.key.secret(), found.origin.as_str()),
            ("key_1", "CURSOR_API_KEY")
        );
        let found = find("CURSOR_ACCESS_TOKEN", "crsr_1").unwrap();
        assert_eq!(
            (found.key.secret(), found.origin.as_str()),
            ("crsr_1", "CURSOR_ACCESS_TOKEN")
        );

        let file = home.path().join(".cursor/sdk/auth.json");
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let write = |end: &str| {
            let text = format!(
                r#"{{"version":1,"backendUrl":"b","apiKey":"key_2","createdAtMs":1{end}}}"#
            );
            std::fs::write(&file, text).unwrap();
        };
        write(r#","apiKeyExpiresAtMs":1001,"email":"a@b.example""#);
        let found = find("X", "").unwrap();
        assert_eq!(
            (found.key.secret(), found.email.as_deref()),
            ("key_2", Some("a@b.example"))
        );
        assert!(!format!("{found:?}").contains("key_2"));
        write(r#","apiKeyExpiresAtMs":1000"#);
        assert_eq!(find("X", ""), Err(NoKey::Expired(file.clone())));
        write("");
        assert!(find("X", "").is_ok());
        std::fs::write(&file, "{").unwrap();
        assert_eq!(find("X", ""), Err(NoKey::Missing));
    }
}
