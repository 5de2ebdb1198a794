//! Where things are in the user's home.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::opencode::Places;

/// The directories that the commands use, by the XDG rules on every system, as OpenCode has it.
#[derive(Debug, Clone)]
pub struct Dirs {
    /// Where OpenCode's configuration is.
    pub opencode: Places,
    state: Option<PathBuf>,
    cache: Option<PathBuf>,
}

impl Dirs {
    /// Reads the environment; an empty variable is none.
    #[must_use]
    pub fn new(env: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let path = |name: &str| {
            env(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let home = path("HOME").or_else(|| path("USERPROFILE"));
        let ours = |name: &str, default: &str| {
            let base = path(name).or_else(|| home.as_ref().map(|home| home.join(default)));
            base.map(|base| base.join("open-cursor"))
        };
        Self {
            opencode: Places {
                opencode_config: path("OPENCODE_CONFIG"),
                xdg_config_home: path("XDG_CONFIG_HOME"),
                home: home.clone(),
            },
            state: ours("XDG_STATE_HOME", ".local/state"),
            cache: ours("XDG_CACHE_HOME", ".cache"),
        }
    }

    /// What must survive: the record of what was written into configurations.
    #[must_use]
    pub fn state(&self) -> Option<PathBuf> {
        self.state.clone()
    }

    /// The file that keeps the last list of models.
    #[must_use]
    pub fn models_cache(&self) -> Option<PathBuf> {
        self.cache.as_ref().map(|cache| cache.join("models.txt"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn xdg_over_home() {
        let env = |name: &str| match name {
            "HOME" => Some("/home/a".into()),
            "XDG_CACHE_HOME" => Some("/cache".into()),
            "XDG_STATE_HOME" => Some(OsString::new()),
            _ => None,
        };
        let dirs = Dirs::new(&env);
        assert_eq!(
            dirs.state().unwrap(),
            PathBuf::from("/home/a/.local/state/open-cursor")
        );
        assert_eq!(
            dirs.models_cache().unwrap(),
            PathBuf::from("/cache/open-cursor/models.txt")
        );
        assert_eq!(Dirs::new(&|_| None).state(), None);
    }
}
