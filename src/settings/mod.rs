//! Settings: flags over environment over configuration file over defaults, resolved once and typed,
//! with the origin of each value.
//!
//! ```text
//! rows (name, variable, type, default, doc) ─┬─> flags of `serve` and `run`
//!                                            ├─> keys of config.toml
//! flags, environment, file ── resolve ───────┴─> Resolved: ServeSettings + where each is from
//! ```
//!
//! The environment and the file's content are parameters, so that tests never touch the process's
//! own.

mod file;
mod rows;
mod table;
mod value;

use std::{
    collections::BTreeMap,
    fmt,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use value::FromText;

pub use file::ConfigFile;
pub use rows::{ROWS, ServeSettings};
pub use table::Row;
pub use value::{Dirs, Dollars, WordList};

/// A value that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {reason}")]
pub struct SettingsError {
    /// The flag, the variable, or the file and line at fault.
    pub name: String,
    /// What is wrong with its value.
    pub reason: String,
}

/// Looks up an environment variable; `None` if it is unset.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The flags that were given, by name.
pub type Flags = BTreeMap<&'static str, String>;

/// Where a value is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueOrigin {
    /// The command line: `--port`.
    Flag(&'static str),
    /// A variable: `PORT`.
    Env(&'static str),
    /// The file and the line in it.
    File(String),
    /// No source gives one.
    Default,
}

impl fmt::Display for ValueOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "--{name}"),
            Self::Env(name) => f.write_str(name),
            Self::File(place) => f.write_str(place),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A setting's text, and where it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// `None` without a value and without a default.
    pub text: Option<String>,
    /// Where it is from.
    pub origin: ValueOrigin,
}

impl Found {
    fn read<T: FromText>(found: Option<&Self>, name: &str) -> Result<T, SettingsError> {
        let text = found.and_then(|found| found.text.as_deref());
        T::parse(text).map_err(|error| SettingsError {
            name: found.map_or_else(|| name.to_owned(), |found| found.origin.to_string()),
            reason: format!("`{}` can't be used: {error}", text.unwrap_or_default()),
        })
    }
}

/// Resolved settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The values.
    pub settings: ServeSettings,
    /// Their texts and origins, in the order of [`ROWS`].
    pub found: Vec<Found>,
}

impl Resolved {
    /// Resolves every setting. An empty variable counts as unset.
    ///
    /// # Errors
    /// Names the flag, variable or line whose value can't be used.
    pub fn new(flags: &Flags, env: Lookup<'_>, file: &ConfigFile) -> Result<Self, SettingsError> {
        let found: Vec<Found> = ROWS.iter().map(|row| find(row, flags, env, file)).collect();
        Ok(Self {
            settings: ServeSettings::typed(&found)?,
            found,
        })
    }

    /// The settings whose value differs in `new`: those that a reload applies, and those that need a
    /// restart.
    #[must_use]
    pub fn changes(&self, new: &Self) -> (Vec<&'static str>, Vec<&'static str>) {
        let pairs = self.found.iter().zip(&new.found);
        let changed = ROWS.iter().zip(pairs);
        let changed = changed.filter(|(_, (old, new))| old.text != new.text);
        changed
            .map(|(row, _)| row.name)
            .partition(|name| RELOADABLE.contains(name))
    }

    /// The same for two servers of one version that answer alike, wherever they listen.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hasher = DefaultHasher::new();
        for (row, found) in ROWS.iter().zip(&self.found) {
            if !ELSEWHERE.contains(&row.name) {
                (row.name, &found.text).hash(&mut hasher);
            }
        }
        format!("{:016x}", hasher.finish())
    }
}

/// Settings about where a server is, who may use it and what it prints, and those that `/health`
/// shows by themselves.
const ELSEWHERE: &[&str] = &[
    "host",
    "port",
    "socket",
    "allow-users",
    "log-level",
    "log-format",
    "log-file",
    "history",
    "reuse",
    "agent",
    "workspace",
];

/// Settings that a reload applies to a running server.
const RELOADABLE: &[&str] = &[
    "stall-timeout",
    "api-key-file",
    "keys-file",
    "daily-budget",
    "max-tokens-per-turn",
    "fallback-models",
    "allow-users",
    "allow-host",
    "allow-origin",
    "dump-dir",
    "dump-keep",
    "log-level",
];

fn find(row: &'static Row, flags: &Flags, env: Lookup<'_>, file: &ConfigFile) -> Found {
    let flag = || Some((flags.get(row.name)?.clone(), ValueOrigin::Flag(row.name)));
    let variable = || {
        let name = row.env?;
        let text = env(name).filter(|text| !text.is_empty())?;
        Some((text, ValueOrigin::Env(name)))
    };
    let key = || {
        let (text, place) = file.get(row.name)?;
        Some((text.to_owned(), ValueOrigin::File(place)))
    };
    let set = flag().or_else(variable).or_else(key);
    let (text, origin) = set.unzip();
    Found {
        text: text.or_else(|| row.default.map(str::to_owned)),
        origin: origin.unwrap_or(ValueOrigin::Default),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
