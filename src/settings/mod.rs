//! Settings: flags over environment over defaults, resolved once and typed.
//!
//! The environment is a parameter, so that tests never touch the process's own.

use std::{
    fmt::{self, Display},
    net::IpAddr,
    num::NonZeroUsize,
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use crate::agent::fence::FenceMode;

/// A value that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {reason}")]
pub struct SettingsError {
    /// The flag or variable at fault.
    pub name: String,
    /// What is wrong with its value.
    pub reason: String,
}

/// A value that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The value itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Looks up an environment variable; `None` if it is unset.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What `serve` was told by flags.
#[derive(Debug, Clone, Default)]
pub struct ServeFlags {
    /// `--host`
    pub host: Option<IpAddr>,
    /// `--port`
    pub port: Option<u16>,
    /// `--agent`
    pub agent: Option<String>,
    /// `--workspace`
    pub workspace: Option<PathBuf>,
    /// `--agent-timeout`, in seconds
    pub agent_timeout: Option<u64>,
    /// `--idle-timeout`, in seconds
    pub idle_timeout: Option<u64>,
    /// `--turn-timeout`, in seconds
    pub turn_timeout: Option<u64>,
    /// `--stall-timeout`, in seconds
    pub stall_timeout: Option<u64>,
    /// `--max-running`
    pub max_running: Option<NonZeroUsize>,
    /// `--max-queued`
    pub max_queued: Option<usize>,
    /// `--queue-timeout`, in seconds
    pub queue_timeout: Option<u64>,
    /// `--max-connections`
    pub max_connections: Option<NonZeroUsize>,
    /// `--api-key-file`
    pub api_key_file: Option<PathBuf>,
    /// `--allow-host`, any number
    pub allow_host: Vec<String>,
    /// `--allow-origin`, any number
    pub allow_origin: Vec<String>,
    /// `--dump-dir`
    pub dump_dir: Option<PathBuf>,
    /// `--dump-keep`
    pub dump_keep: Option<NonZeroUsize>,
    /// `--fence`
    pub fence: Option<FenceMode>,
    /// `--workspace-base`, any number
    pub workspace_base: Vec<PathBuf>,
    /// `--no-workspace-from-prompt`
    pub no_workspace_from_prompt: bool,
    /// `--log-level`
    pub log_level: Option<String>,
}

/// How `serve` runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServeSettings {
    /// The address to listen on.
    pub host: IpAddr,
    /// The port; 0 picks a free one.
    pub port: u16,
    /// The agent program, `replay`, or `None` to look for one (which reads the environment too).
    pub agent: Option<String>,
    /// Where the agent works for requests that name no directory.
    pub workspace: Option<PathBuf>,
    /// How long the agent may take to its first event.
    pub agent_timeout: Duration,
    /// How long it may be silent after that.
    pub idle_timeout: Duration,
    /// How long a whole answer may take; `None` is no limit.
    pub turn_timeout: Option<Duration>,
    /// How long a client may read nothing.
    pub stall_timeout: Duration,
    /// How many turns run at once.
    pub max_running: NonZeroUsize,
    /// How many more may wait.
    pub max_queued: usize,
    /// How long one may wait.
    pub queue_timeout: Duration,
    /// How many connections are open at one time.
    pub max_connections: NonZeroUsize,
    /// Where the API key is that clients must send; it wins over [`api_key`](Self::api_key).
    pub api_key_file: Option<PathBuf>,
    /// The API key that clients must send.
    pub api_key: Option<Secret>,
    /// More names of this server.
    pub allow_host: Vec<String>,
    /// Origins whose web pages may use it.
    pub allow_origin: Vec<String>,
    /// Where turns are dumped, if anywhere.
    pub dump_dir: Option<PathBuf>,
    /// How many dumps are kept.
    pub dump_keep: NonZeroUsize,
    /// How much it matters that the agent changes nothing itself.
    pub fence: FenceMode,
    /// Where the directories lie that requests may name; empty is the user's home and the current
    /// directory.
    pub workspace_base: Vec<PathBuf>,
    /// Whether the system prompt may name one.
    pub workspace_from_prompt: bool,
    /// A log filter.
    pub log_level: String,
    /// Whether `run` may use a server that runs already.
    pub reuse: bool,
}

impl ServeSettings {
    /// Resolves the flags against the environment.
    ///
    /// # Errors
    /// Names the variable whose value can't be used.
    pub fn resolve(flags: ServeFlags, env: Env<'_>) -> Result<Self, SettingsError> {
        let seconds = |value: u64| Duration::from_secs(value);
        Ok(Self {
            host: flags.host.unwrap_or(IpAddr::from([127, 0, 0, 1])),
            port: pick(flags.port, "PORT", env)?.unwrap_or(32124),
            agent: flags.agent,
            workspace: pick(flags.workspace, "CURSOR_ACP_WORKSPACE", env)?,
            agent_timeout: seconds(flags.agent_timeout.unwrap_or(120)),
            idle_timeout: seconds(flags.idle_timeout.unwrap_or(600)),
            turn_timeout: flags.turn_timeout.filter(|secs| *secs > 0).map(seconds),
            stall_timeout: seconds(flags.stall_timeout.unwrap_or(30)),
            max_running: pick(flags.max_running, "CURSOR_ACP_MAX_RUNNING", env)?
                .unwrap_or(const { NonZeroUsize::new(3).unwrap() }),
            max_queued: pick(flags.max_queued, "CURSOR_ACP_MAX_QUEUED", env)?.unwrap_or(32),
            queue_timeout: seconds(flags.queue_timeout.unwrap_or(300)),
            max_connections: flags
                .max_connections
                .unwrap_or(const { NonZeroUsize::new(512).unwrap() }),
            api_key_file: flags.api_key_file,
            api_key: env("CURSOR_ACP_API_KEY")
                .filter(|key| !key.is_empty())
                .map(Secret),
            allow_host: flags.allow_host,
            allow_origin: flags.allow_origin,
            dump_dir: flags.dump_dir,
            dump_keep: flags
                .dump_keep
                .unwrap_or(const { NonZeroUsize::new(50).unwrap() }),
            fence: pick(flags.fence, "CURSOR_ACP_FENCE", env)?.unwrap_or_default(),
            workspace_base: flags.workspace_base,
            workspace_from_prompt: !flags.no_workspace_from_prompt,
            log_level: pick(flags.log_level, "RUST_LOG", env)?.unwrap_or_else(|| "info".to_owned()),
            // Only this word turns it off, as in the system that the name is from.
            reuse: env("CURSOR_ACP_REUSE_EXISTING_PROXY").as_deref() != Some("false"),
        })
    }
}

/// The flag, else the variable. An empty variable counts as unset.
fn pick<T>(flag: Option<T>, name: &str, env: Env<'_>) -> Result<Option<T>, SettingsError>
where
    T: FromStr,
    T::Err: Display,
{
    if flag.is_some() {
        return Ok(flag);
    }
    let Some(text) = env(name).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    text.parse()
        .map(Some)
        .map_err(|error: T::Err| SettingsError {
            name: name.to_owned(),
            reason: format!("`{text}` can't be used: {error}"),
        })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn flags_beat_the_environment_which_beats_defaults() {
        let env = |name: &str| (name == "PORT").then(|| "4000".to_owned());
        let none = |_: &str| None;
        let flag = || ServeFlags {
            port: Some(5000),
            ..ServeFlags::default()
        };
        assert_eq!(ServeSettings::resolve(flag(), &env).unwrap().port, 5000);
        let default = ServeFlags::default;
        assert_eq!(ServeSettings::resolve(default(), &env).unwrap().port, 4000);
        assert_eq!(
            ServeSettings::resolve(default(), &none).unwrap().port,
            32124
        );
        let empty = |_: &str| Some(String::new());
        assert_eq!(
            ServeSettings::resolve(default(), &empty).unwrap().port,
            32124
        );
    }

    #[test]
    fn a_bad_variable_is_named() {
        let env = |name: &str| (name == "PORT").then(|| "many".to_owned());
        let error = ServeSettings::resolve(ServeFlags::default(), &env).unwrap_err();
        assert_eq!(error.name, "PORT");
        assert!(error.reason.contains("many"));
    }
}
