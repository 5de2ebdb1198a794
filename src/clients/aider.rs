//! Aider, which reaches a server of OpenAI's kind through litellm: `openai/` before the model.

use super::{Client, Endpoint, Setup};
use crate::opencode::ConfigError;

pub(super) const CLIENT: Client = Client {
    name: "aider",
    programs: &["aider"],
    wants_models: false,
    setup,
};

const WARNINGS: &str = "AIDER_SHOW_MODEL_WARNINGS";

fn setup(endpoint: &Endpoint<'_>) -> Result<Setup, ConfigError> {
    let model = format!("openai/{}", endpoint.model());
    let mut set = vec![
        ("AIDER_OPENAI_API_BASE", endpoint.openai()),
        ("AIDER_OPENAI_API_KEY", endpoint.key.to_owned()),
        ("OPENAI_API_BASE", endpoint.openai()),
        ("OPENAI_API_KEY", endpoint.key.to_owned()),
        ("AIDER_MODEL", model),
    ];
    // It knows none of our models, and would ask about that at every start.
    if (endpoint.env)(WARNINGS).is_none() {
        set.push((WARNINGS, "false".to_owned()));
    }
    Ok(Setup {
        set,
        ..Setup::default()
    })
}
