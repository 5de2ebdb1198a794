//! Finds the file that OpenCode reads and writes (seen in opencode-ai 1.18.33).
//!
//! `OPENCODE_CONFIG` if set; else, in `$XDG_CONFIG_HOME/opencode` or `~/.config/opencode` on every
//! system, `opencode.jsonc` before `opencode.json` before `config.json`. OpenCode merges all of
//! them, the first named here winning, and creates `opencode.jsonc` where there is none. Project
//! files are never written.

use std::path::{Path, PathBuf};

use crate::file;

/// The variables that say where OpenCode's configuration is.
#[derive(Debug, Clone, Default)]
pub struct OpencodePlaces {
    /// `OPENCODE_CONFIG`.
    pub opencode_config: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`.
    pub xdg_config_home: Option<PathBuf>,
    /// The home directory.
    pub home: Option<PathBuf>,
}

const NAMES: [&str; 3] = ["opencode.jsonc", "opencode.json", "config.json"];

/// The file to edit for a provider: the one that has it, else the one that OpenCode would
/// write to. It need not exist. `None` if the environment names no home.
#[must_use]
pub fn locate(places: &OpencodePlaces, provider: &str) -> Option<PathBuf> {
    let set = |path: &Option<PathBuf>| path.clone().filter(|path| !path.as_os_str().is_empty());
    if let Some(file) = set(&places.opencode_config) {
        return Some(file);
    }
    let in_home = || set(&places.home).map(|home| home.join(".config"));
    let directory = set(&places.xdg_config_home)
        .or_else(in_home)?
        .join("opencode");
    let there: Vec<PathBuf> = NAMES
        .iter()
        .map(|name| directory.join(name))
        .filter(|file| file.exists())
        .collect();
    let holder = there.iter().find(|file| holds(file, provider));
    Some(
        holder
            .or(there.first())
            .cloned()
            .unwrap_or_else(|| directory.join(NAMES[0])),
    )
}

fn holds(file: &Path, provider: &str) -> bool {
    let text = file::read_text(file).unwrap_or_default();
    super::document::Document::parse(file, &text)
        .is_ok_and(|document| document.provider(provider).is_some())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn as_opencode_does() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join(".config/opencode");
        std::fs::create_dir_all(&directory).unwrap();
        let places = OpencodePlaces {
            home: Some(home.path().to_owned()),
            xdg_config_home: Some(PathBuf::new()),
            ..OpencodePlaces::default()
        };
        let found = || locate(&places, "cursor-acp").unwrap();
        let write = |name: &str, text: &str| std::fs::write(directory.join(name), text).unwrap();

        assert_eq!(found(), directory.join("opencode.jsonc"));
        write("config.json", "{}");
        assert_eq!(found(), directory.join("config.json"));
        write("opencode.json", "{}");
        assert_eq!(found(), directory.join("opencode.json"));
        write("opencode.jsonc", "{} // mine");
        assert_eq!(found(), directory.join("opencode.jsonc"));
        write("opencode.json", r#"{"provider": {"cursor-acp": {}}}"#);
        assert_eq!(found(), directory.join("opencode.json"));

        let other = OpencodePlaces {
            xdg_config_home: Some("/elsewhere".into()),
            ..places.clone()
        };
        let expected = Path::new("/elsewhere/opencode/opencode.jsonc");
        assert_eq!(locate(&other, "x").unwrap(), expected);
        let told = OpencodePlaces {
            opencode_config: Some("/my.json".into()),
            ..other
        };
        assert_eq!(locate(&told, "x").unwrap(), Path::new("/my.json"));
        assert_eq!(locate(&OpencodePlaces::default(), "x"), None);
    }
}
