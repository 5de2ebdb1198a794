//! Our directories in the user's home.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
};

use super::{manifest::Manifest, render};
use crate::{
    opencode::{ConfigTarget, Layout, ModelOptions, OpencodePlaces, locate},
    sandbox::untrusted,
    service::{Service, service},
    settings::{ConfigFile, Flags, Resolved, SettingsError},
};

/// The directories that the commands use: by the XDG rules on every system, like OpenCode's. What a
/// home directory would tell is `None` where there is none.
#[derive(Debug, Clone)]
pub struct UserDirs {
    /// Where OpenCode's configuration may be.
    pub opencode: OpencodePlaces,
    /// Our configuration file; it need not exist.
    pub config_file: Option<PathBuf>,
    /// The file that names MCP servers of ours; it need not exist.
    pub mcp_file: Option<PathBuf>,
    /// The file for the API key of the service that `install` makes.
    pub key_file: Option<PathBuf>,
    /// The directory for the record of what was written into configurations.
    pub state: Option<PathBuf>,
    /// What a server keeps.
    pub files: ServerFiles,
    /// Where service managers have theirs.
    config_home: Option<PathBuf>,
}

/// What a server keeps beyond its end; without a file, it keeps that in memory.
#[derive(Debug, Clone, Default)]
pub struct ServerFiles {
    /// Which versions of the agent take the client's tools.
    pub carriers: Option<PathBuf>,
    /// The last list of models.
    pub models_cache: Option<PathBuf>,
    /// The database with a row of each turn.
    pub history: Option<PathBuf>,
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
        let base = |name: &str, default: &str| {
            path(name).or_else(|| home.as_ref().map(|home| home.join(default)))
        };
        let below = |base: &Option<PathBuf>, name: &str| Some(base.as_ref()?.join(name));
        let config_home = base("XDG_CONFIG_HOME", ".config");
        let state = base("XDG_STATE_HOME", ".local/state");
        let cache = base("XDG_CACHE_HOME", ".cache");
        let data = base("XDG_DATA_HOME", ".local/share");
        Self {
            opencode: OpencodePlaces {
                opencode_config: path("OPENCODE_CONFIG"),
                xdg_config_home: path("XDG_CONFIG_HOME"),
                home: home.clone(),
            },
            config_file: below(&config_home, "open-cursor/config.toml"),
            mcp_file: below(&config_home, "open-cursor/mcp.json"),
            key_file: below(&config_home, "open-cursor/api-key"),
            state: below(&state, "open-cursor"),
            files: ServerFiles {
                carriers: below(&cache, "open-cursor/carriers.json"),
                models_cache: below(&cache, "open-cursor/models.txt"),
                history: below(&data, "open-cursor/history.db"),
            },
            config_home,
        }
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
        self.state.clone().ok_or_else(missing)
    }

    /// [`ServerFiles::history`].
    ///
    /// # Errors
    /// No home directory is set.
    pub fn need_history(&self) -> anyhow::Result<PathBuf> {
        let missing = || no_home("set HOME, or XDG_DATA_HOME");
        self.files.history.clone().ok_or_else(missing)
    }

    fn config(&self) -> Result<ConfigFile, SettingsError> {
        let Some(path) = &self.config_file else {
            return Ok(ConfigFile::default());
        };
        match untrusted::read_to_string(path) {
            Ok(text) => ConfigFile::parse(path, &text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(ConfigFile::default()),
            Err(error) => Err(SettingsError {
                name: path.display().to_string(),
                reason: error.to_string(),
            }),
        }
    }

    /// The configuration of OpenCode's to change: `config`, else the one that OpenCode reads.
    ///
    /// # Errors
    /// No home directory is set.
    pub fn target(&self, config: Option<PathBuf>, provider: &str) -> anyhow::Result<ConfigTarget> {
        let state_dir = self.need_state()?;
        let config = config.or_else(|| locate(&self.opencode, provider));
        let config = config.ok_or_else(|| no_home("set HOME, or use --config"))?;
        Ok(ConfigTarget {
            config: std::path::absolute(config)?,
            state_dir,
        })
    }

    /// How OpenCode's configuration names the server that the settings make, or one with its key in
    /// `key_file`.
    #[must_use]
    pub fn provider(
        &self,
        provider: &str,
        resolved: &Resolved,
        key_file: Option<&Path>,
    ) -> ModelOptions {
        let settings = &resolved.settings;
        let set = key_file.or(settings.api_key_file.as_deref());
        ModelOptions {
            provider: provider.to_owned(),
            base_url: format!("http://{}/v1", settings.address()),
            api_key: self.client_key(set.map(Path::to_owned)),
            shape: Layout::default(),
        }
    }

    /// The API key for OpenCode's configuration, as a reference to the server's file; `None` if the
    /// server needs none.
    fn client_key(&self, file: Option<PathBuf>) -> Option<String> {
        let ours = || Manifest::read(self.state.as_deref()?).key_file;
        let file = std::path::absolute(file.or_else(ours)?).ok()?;
        Some(format!("{{file:{}}}", file.display()))
    }

    /// The service that keeps `program serve` running; `None` on a system without a supported
    /// service manager.
    #[must_use]
    pub fn service(&self, program: &Path, key_file: Option<&Path>) -> Option<Service> {
        let home = self.opencode.home.as_deref()?;
        service(program, key_file, home, self.config_home.as_deref()?)
    }
}

/// Nothing can be found or kept.
fn no_home(hint: &str) -> anyhow::Error {
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
            dirs.state.unwrap(),
            PathBuf::from("/home/a/.local/state/open-cursor")
        );
        assert_eq!(
            dirs.files.models_cache.unwrap(),
            PathBuf::from("/cache/open-cursor/models.txt")
        );
        assert_eq!(UserDirs::new(&|_| None).state, None);
    }
}
