//! How each client is pointed at our server: environment variables and, where a client reads none,
//! arguments or a temporary configuration file.
//!
//! One file and one row in [`CLIENTS`] per client. Must not know processes, HTTP or the terminal.

mod aider;
mod claude_code;
mod cline;
mod codex;
mod continue_cli;
mod crush;
mod gemini;
mod generic;
mod goose;
mod gptme;
mod mini;
mod opencode;
mod pi;
mod qwen;

use std::path::{Path, PathBuf};

use crate::{
    models::Listing,
    opencode::{ConfigError, OpencodePlaces},
};

/// A client that `open-cursor run` can start.
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
    setup: fn(&ClientServer<'_>) -> Result<ClientSetup, ConfigError>,
}

/// All clients; the last one stands for every other program.
pub const CLIENTS: &[Client] = &[
    opencode::CLIENT,
    claude_code::CLIENT,
    codex::CLIENT,
    aider::CLIENT,
    qwen::CLIENT,
    gemini::CLIENT,
    continue_cli::CLIENT,
    pi::CLIENT,
    cline::CLIENT,
    crush::CLIENT,
    goose::CLIENT,
    gptme::CLIENT,
    mini::CLIENT,
    generic::CLIENT,
];

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
    /// A directory below the user's home.
    fn in_home(&self, path: &str) -> Option<PathBuf> {
        Some(Path::new(&(self.env)("HOME")?).join(path))
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
    pub set: Vec<(&'static str, String)>,
    /// Variables to remove, because they would win over those.
    pub unset: Vec<&'static str>,
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
        found.unwrap_or(&generic::CLIENT)
    }

    /// The client's setup. Requests to this machine bypass the user's proxy, if there is one.
    ///
    /// # Errors
    /// When the user's own configuration in the environment cannot be read.
    pub fn setup(&self, endpoint: &ClientServer<'_>) -> Result<ClientSetup, ConfigError> {
        let mut setup = (self.setup)(endpoint)?;
        let given = |name: &&str| (endpoint.env)(name).is_some_and(|value| !value.is_empty());
        let proxies = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
        if proxies.iter().any(given) {
            for name in ["NO_PROXY", "no_proxy"] {
                let rest = (endpoint.env)(name).filter(|rest| !rest.is_empty());
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
