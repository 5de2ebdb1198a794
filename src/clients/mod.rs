//! What each client needs in order to use our server: environment variables and, where a client
//! reads none, arguments. Nothing is written anywhere.
//!
//! One file and one row in [`CLIENTS`] per client. Knows no process, no HTTP and no terminal.

mod aider;
mod claude_code;
mod codex;
mod generic;
mod opencode;

use std::path::Path;

use crate::{
    models::Listing,
    opencode::{ConfigError, Places},
};

/// A client that `open-cursor run` can start.
pub struct Client {
    /// What `--client` calls it.
    pub name: &'static str,
    /// The programs that are this client.
    programs: &'static [&'static str],
    /// Whether it must be told the models.
    pub wants_models: bool,
    setup: fn(&Endpoint<'_>) -> Result<Setup, ConfigError>,
}

/// All of them; the last is for every other program.
pub const CLIENTS: &[Client] = &[
    opencode::CLIENT,
    claude_code::CLIENT,
    codex::CLIENT,
    aider::CLIENT,
    generic::CLIENT,
];

/// What a client is to use.
pub struct Endpoint<'a> {
    /// The server, without `/v1` and without a slash at the end.
    pub url: &'a str,
    /// The API key.
    pub key: &'a str,
    /// The model that the user asked for.
    pub model: Option<&'a str>,
    /// The account's models, for clients that want them.
    pub listing: Option<&'a Listing>,
    /// The client's environment as it is, by name.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Where OpenCode's own configuration is.
    pub opencode: &'a Places,
}

impl Endpoint<'_> {
    /// The base URL of OpenAI's API.
    fn openai(&self) -> String {
        format!("{}/v1", self.url)
    }

    /// The model that the user asked for, else the one that every account has.
    fn model(&self) -> &str {
        self.model.unwrap_or(crate::models::AUTO)
    }
}

/// How a client's process differs from one that is started as it is.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Setup {
    /// Variables to set.
    pub set: Vec<(&'static str, String)>,
    /// Variables to take away, because they would win over those.
    pub unset: Vec<&'static str>,
    /// Arguments to put before the client's own.
    pub args: Vec<String>,
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

    /// What the client needs. Requests to this machine bypass the user's proxy, if there is one.
    ///
    /// # Errors
    /// When the user's own configuration in the environment cannot be read.
    pub fn setup(&self, endpoint: &Endpoint<'_>) -> Result<Setup, ConfigError> {
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
