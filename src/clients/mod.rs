//! How each client is pointed at our server: environment variables and, where a client reads none,
//! arguments or a temporary configuration file.
//!
//! One row in [`CLIENTS`] per client. Must not know processes, HTTP or the terminal.

mod computed;
mod rows;

use std::path::{Path, PathBuf};

use crate::{
    models::Listing,
    opencode::{ConfigError, OpencodePlaces},
};

pub use rows::CLIENTS;

/// Variables with their values.
pub type Variables = Vec<(&'static str, String)>;

/// A client that `open-cursor run` can start. Its texts have places for what [`ClientServer`] says.
pub struct Client {
    /// Its name for `--client`.
    pub name: &'static str,
    /// The programs that are this client.
    programs: &'static [&'static str],
    /// What `run` sets for it, for `--help-client`.
    pub help: &'static str,
    /// The command that installs it.
    pub install: Option<&'static str>,
    /// Whether its setup needs the list of models.
    pub wants_models: bool,
    /// Variables to set.
    set: &'static [(&'static str, &'static str)],
    /// More of them, which take more than a text.
    computed: fn(&ClientServer<'_>) -> Result<Variables, ConfigError>,
    /// Variables to remove, because they would win over those.
    unset: &'static [&'static str],
    /// Arguments to put before the client's own.
    args: &'static [&'static str],
    /// A configuration file, for clients that read no variables.
    config: Option<fn(&ClientServer<'_>) -> TemporaryFile>,
}

/// The server and the model for a client.
pub struct ClientServer<'a> {
    /// The server, without `/v1` and without a slash at the end.
    pub url: &'a str,
    /// The API key.
    pub key: &'a str,
    /// The model that the user asked for.
    pub model: Option<&'a str>,
    /// The account's models, if [`Client::wants_models`].
    pub listing: Option<&'a Listing>,
    /// The environment that the client inherits.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Where OpenCode's own configuration is.
    pub opencode: &'a OpencodePlaces,
}

impl ClientServer<'_> {
    /// A text of a row.
    fn filled(&self, text: &str) -> String {
        text.replace("{openai}", &self.openai())
            .replace("{url}", self.url)
            .replace("{key}", self.key)
            .replace("{model}", self.model())
    }

    /// A directory that the variable names, else the `usual` one below the user's home.
    fn directory(&self, variable: &'static str, usual: &str) -> Passed {
        let in_home = || Some(Path::new(&(self.env)("HOME")?).join(usual));
        let users = (self.env)(variable).map(PathBuf::from).or_else(in_home);
        Passed::Directory(variable, users)
    }

    /// The base URL of OpenAI's API.
    fn openai(&self) -> String {
        format!("{}/v1", self.url)
    }

    /// The model that the user asked for, else the one that every account has.
    fn model(&self) -> &str {
        self.model.unwrap_or(crate::models::AUTO)
    }
}

/// What `run` changes in the environment and arguments of a client.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ClientSetup {
    /// Variables to set.
    pub set: Variables,
    /// Variables to remove, because they would win over those.
    pub unset: &'static [&'static str],
    /// Arguments to put before the client's own.
    pub args: Vec<String>,
    /// A configuration file for as long as the client runs.
    pub config: Option<TemporaryFile>,
}

/// A temporary configuration file, alone in a directory of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemporaryFile {
    /// Its name.
    pub name: &'static str,
    /// Its content.
    pub content: String,
    /// How the client learns of it.
    pub passed: Passed,
}

/// How a client learns of a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Passed {
    /// By its path, after this argument.
    Argument(&'static str),
    /// By its path, in this variable.
    Variable(&'static str),
    /// By its directory, in this variable. The other files of the user's own directory are linked
    /// there, so that sessions and settings stay.
    Directory(&'static str, Option<PathBuf>),
}

impl Client {
    /// The client that a program is, by its file name.
    #[must_use]
    pub fn of(program: &Path) -> &'static Self {
        let name = program.file_stem().and_then(|name| name.to_str());
        let found = CLIENTS
            .iter()
            .find(|client| name.is_some_and(|name| client.programs.contains(&name)));
        found.unwrap_or(&rows::GENERIC)
    }

    /// The client's setup. Requests to this machine bypass the user's proxy, if there is one.
    ///
    /// # Errors
    /// When the user's own configuration in the environment cannot be read.
    pub fn setup(&self, server: &ClientServer<'_>) -> Result<ClientSetup, ConfigError> {
        let set = self.set.iter();
        let set = set.map(|(name, text)| (*name, server.filled(text)));
        let mut setup = ClientSetup {
            set: set.chain((self.computed)(server)?).collect(),
            unset: self.unset,
            args: self.args.iter().map(|text| server.filled(text)).collect(),
            config: self.config.map(|config| config(server)),
        };
        let given = |name: &&str| (server.env)(name).is_some_and(|value| !value.is_empty());
        let proxies = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
        if proxies.iter().any(given) {
            for name in ["NO_PROXY", "no_proxy"] {
                let rest = (server.env)(name).filter(|rest| !rest.is_empty());
                let rest = rest.map(|rest| format!(",{rest}")).unwrap_or_default();
                setup.set.push((name, format!("127.0.0.1,localhost{rest}")));
            }
        }
        Ok(setup)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
