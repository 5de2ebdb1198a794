//! Aider uses OpenAI-compatible servers through litellm: the model's name begins with `openai/`.

use super::{Client, ClientServer, ClientSetup};
use crate::opencode::ConfigError;

pub(super) const CLIENT: Client = Client {
    name: "aider",
    programs: &["aider"],
    help: "AIDER_OPENAI_API_BASE, AIDER_OPENAI_API_KEY, OPENAI_API_BASE, OPENAI_API_KEY, AIDER_MODEL",
    install: Some("python -m pip install aider-install && aider-install"),
    wants_models: false,
    setup,
};

const WARNINGS: &str = "AIDER_SHOW_MODEL_WARNINGS";

fn setup(endpoint: &ClientServer<'_>) -> Result<ClientSetup, ConfigError> {
    let model = format!("openai/{}", endpoint.model());
    let mut set = vec![
        ("AIDER_OPENAI_API_BASE", endpoint.openai()),
        ("AIDER_OPENAI_API_KEY", endpoint.key.to_owned()),
        ("OPENAI_API_BASE", endpoint.openai()),
        ("OPENAI_API_KEY", endpoint.key.to_owned()),
        ("AIDER_MODEL", model),
    ];
    // It does not know our models, and would ask about them at every start.
    if (endpoint.env)(WARNINGS).is_none() {
        set.push((WARNINGS, "false".to_owned()));
    }
    Ok(ClientSetup {
        set,
        ..ClientSetup::default()
    })
}
