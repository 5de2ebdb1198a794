//! Our directories in the user's home.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
};

use super::{manifest::Manifest, render};
use crate::{
    opencode::OpencodePlaces,
    sandbox::untrusted,
    service::{Service, service},
    settings::{ConfigFile, Flags, Resolved, SettingsError},
};

/// The directories that the commands use: by the XDG rules on every system, like OpenCode's.
#[derive(Debug, Clone)]
pub struct UserDirs {
    /// Where OpenCode's configuration may be.
    pub opencode: OpencodePlaces,
    config: Option<PathBuf>,
    state: Option<PathBuf>,
    cache: Option<PathBuf>,
    data: Option<PathBuf>,
}

impl UserDirs {
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
            opencode: OpencodePlaces {
                opencode_config: path("OPENCODE_CONFIG"),
                xdg_config_home: path("XDG_CONFIG_HOME"),
                home: home.clone(),
            },
            config: ours("XDG_CONFIG_HOME", ".config"),
            state: ours("XDG_STATE_HOME", ".local/state"),
            cache: ours("XDG_CACHE_HOME", ".cache"),
            data: ours("XDG_DATA_HOME", ".local/share"),
        }
    }

    /// Our configuration file; it need not exist.
    #[must_use]
    pub fn config_file(&self) -> Option<PathBuf> {
        Some(self.config.as_ref()?.join("config.toml"))
    }

    /// The file that names MCP servers of ours; it need not exist.
    #[must_use]
    pub fn mcp_file(&self) -> Option<PathBuf> {
        Some(self.config.as_ref()?.join("mcp.json"))
    }

    /// The settings from the flags, the process's environment and the file.
    ///
    /// # Errors
    /// An invalid value (exit code 2), with the place where it is set.
    pub fn settings(&self, flags: &Flags) -> anyhow::Result<Resolved> {
        let env = |name: &str| Some(std::env::var_os(name)?.to_string_lossy().into_owned());
        let wrong = |error: SettingsError| {
            render::usage(
                error,
                "`open-cursor help settings` says what each setting takes",
            )
        };
        let file = self.config().map_err(wrong)?;
        Resolved::new(flags, &env, &file).map_err(wrong)
    }

    /// [`state`](Self::state).
    ///
    /// # Errors
    /// No home directory is set.
    pub fn need_state(&self) -> anyhow::Result<PathBuf> {
        let missing = || no_home("set HOME, or XDG_STATE_HOME");
        self.state().ok_or_else(missing)
    }

    /// [`history`](Self::history).
    ///
    /// # Errors
    /// No home directory is set.
    pub fn need_history(&self) -> anyhow::Result<PathBuf> {
        let missing = || no_home("set HOME, or XDG_DATA_HOME");
        self.history().ok_or_else(missing)
    }

    fn config(&self) -> Result<ConfigFile, SettingsError> {
        let Some(path) = self.config_file() else {
            return Ok(ConfigFile::default());
        };
        match untrusted::read_to_string(&path) {
            Ok(text) => ConfigFile::parse(&path, &text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(ConfigFile::default()),
            Err(error) => Err(SettingsError {
                name: path.display().to_string(),
                reason: error.to_string(),
            }),
        }
    }

    /// The file for the API key of the service that `install` makes.
    #[must_use]
    pub fn key_file(&self) -> Option<PathBuf> {
        Some(self.config.as_ref()?.join("api-key"))
    }

    /// The API key for OpenCode's configuration, as a reference to the server's file; `None` if the
    /// server needs none.
    #[must_use]
    pub fn client_key(&self, resolved: &Resolved) -> Option<String> {
        let file = resolved.settings.api_key_file.clone();
        let ours = || Manifest::read(self.state.as_deref()?).key_file;
        let file = std::path::absolute(file.or_else(ours)?).ok()?;
        Some(format!("{{file:{}}}", file.display()))
    }

    /// The service that keeps `program serve` running; `None` on a system without a supported
    /// service manager.
    #[must_use]
    pub fn service(&self, program: &Path, key_file: Option<&Path>) -> Option<Service> {
        let home = self.opencode.home.as_deref()?;
        service(program, key_file, home, self.config.as_deref()?.parent()?)
    }

    /// The directory for the record of what was written into configurations.
    #[must_use]
    pub fn state(&self) -> Option<PathBuf> {
        self.state.clone()
    }

    /// The file that keeps which versions of the agent take the client's tools.
    #[must_use]
    pub fn carriers(&self) -> Option<PathBuf> {
        self.cache.as_ref().map(|cache| cache.join("carriers.json"))
    }

    /// The database with a row of each turn.
    #[must_use]
    pub fn history(&self) -> Option<PathBuf> {
        self.data.as_ref().map(|data| data.join("history.db"))
    }

    /// The cache of the last list of models.
    #[must_use]
    pub fn models_cache(&self) -> Option<PathBuf> {
        self.cache.as_ref().map(|cache| cache.join("models.txt"))
    }
}

/// Nothing can be found or kept.
pub fn no_home(hint: &str) -> anyhow::Error {
    render::hinted("there is no home directory", hint)
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
        let dirs = UserDirs::new(&env);
        assert_eq!(
            dirs.state().unwrap(),
            PathBuf::from("/home/a/.local/state/open-cursor")
        );
        assert_eq!(
            dirs.models_cache().unwrap(),
            PathBuf::from("/cache/open-cursor/models.txt")
        );
        assert_eq!(UserDirs::new(&|_| None).state(), None);
    }
}
