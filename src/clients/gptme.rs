//! gptme calls another server of OpenAI's API `local`.

use super::{Client, ClientServer, ClientSetup};
use crate::opencode::ConfigError;

pub(super) const CLIENT: Client = Client {
    name: "gptme",
    programs: &["gptme"],
    help: "OPENAI_BASE_URL, OPENAI_API_KEY, MODEL",
    install: Some("pipx install gptme"),
    wants_models: false,
    setup,
};

fn setup(endpoint: &ClientServer<'_>) -> Result<ClientSetup, ConfigError> {
    Ok(ClientSetup {
        set: vec![
            ("OPENAI_BASE_URL", endpoint.openai()),
            ("OPENAI_API_KEY", endpoint.key.to_owned()),
            ("MODEL", format!("local/{}", endpoint.model())),
        ],
        ..ClientSetup::default()
    })
}
