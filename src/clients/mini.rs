//! mini-swe-agent uses litellm: the model's name begins with `openai/`.

use super::{Client, ClientServer, ClientSetup};
use crate::opencode::ConfigError;

pub(super) const CLIENT: Client = Client {
    name: "mini",
    programs: &["mini", "mini-swe-agent"],
    help: "OPENAI_API_BASE, OPENAI_API_KEY, MSWEA_MODEL_NAME, MSWEA_COST_TRACKING, MSWEA_CONFIGURED",
    install: Some("pipx install mini-swe-agent"),
    wants_models: false,
    setup,
};

fn setup(endpoint: &ClientServer<'_>) -> Result<ClientSetup, ConfigError> {
    Ok(ClientSetup {
        set: vec![
            ("OPENAI_API_BASE", endpoint.openai()),
            ("OPENAI_API_KEY", endpoint.key.to_owned()),
            ("MSWEA_MODEL_NAME", format!("openai/{}", endpoint.model())),
            // litellm knows no price of our models, which is an error otherwise.
            ("MSWEA_COST_TRACKING", "ignore_errors".to_owned()),
            // Skips the questions of the first start.
            ("MSWEA_CONFIGURED", "true".to_owned()),
        ],
        ..ClientSetup::default()
    })
}
