//! Goose takes the server's host in one variable, and adds the path of the API itself.

use super::{Client, ClientServer, ClientSetup};
use crate::opencode::ConfigError;

pub(super) const CLIENT: Client = Client {
    name: "goose",
    programs: &["goose"],
    help: "GOOSE_PROVIDER, GOOSE_MODEL, OPENAI_HOST, OPENAI_API_KEY",
    install: None,
    wants_models: false,
    setup,
};

fn setup(endpoint: &ClientServer<'_>) -> Result<ClientSetup, ConfigError> {
    Ok(ClientSetup {
        set: vec![
            ("GOOSE_PROVIDER", "openai".to_owned()),
            ("GOOSE_MODEL", endpoint.model().to_owned()),
            ("OPENAI_HOST", endpoint.url.to_owned()),
            ("OPENAI_API_KEY", endpoint.key.to_owned()),
        ],
        unset: vec!["OPENAI_BASE_PATH", "OPENAI_BASE_URL"],
        ..ClientSetup::default()
    })
}
