//! Any program that uses an OpenAI or Anthropic SDK, or the variables of these.

use super::{Client, ClientServer, ClientSetup};
use crate::opencode::ConfigError;

pub(super) const CLIENT: Client = Client {
    name: "generic",
    programs: &[],
    help: "OPENAI_BASE_URL, OPENAI_API_BASE, OPENAI_API_KEY, ANTHROPIC_BASE_URL, ANTHROPIC_API_KEY",
    install: None,
    wants_models: false,
    setup,
};

fn setup(endpoint: &ClientServer<'_>) -> Result<ClientSetup, ConfigError> {
    let key = || endpoint.key.to_owned();
    Ok(ClientSetup {
        set: vec![
            ("OPENAI_BASE_URL", endpoint.openai()),
            // The name before OpenAI's SDK 1.0; other programs still read it.
            ("OPENAI_API_BASE", endpoint.openai()),
            ("OPENAI_API_KEY", key()),
            // Anthropic's SDKs add the `/v1` themselves.
            ("ANTHROPIC_BASE_URL", endpoint.url.to_owned()),
            ("ANTHROPIC_API_KEY", key()),
        ],
        ..ClientSetup::default()
    })
}
