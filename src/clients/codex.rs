//! Codex reads its server from its configuration only; `-c` overrides that for one process. The key
//! comes from the environment. Without a catalogue's URL it treats our models as unknown.

use super::{Client, ClientServer, ClientSetup};
use crate::opencode::ConfigError;

pub(super) const CLIENT: Client = Client {
    name: "codex",
    programs: &["codex"],
    help: "arguments `-c` for provider, models and model; OPEN_CURSOR_API_KEY",
    install: Some("npm install -g @openai/codex"),
    wants_models: false,
    setup,
};

const KEY: &str = "OPEN_CURSOR_API_KEY";

fn setup(endpoint: &ClientServer<'_>) -> Result<ClientSetup, ConfigError> {
    // The values are TOML; none of these texts needs an escape.
    let overrides = [
        "model_provider=\"open-cursor\"".to_owned(),
        "model_providers.open-cursor.name=\"open-cursor\"".to_owned(),
        format!(
            "model_providers.open-cursor.base_url=\"{}\"",
            endpoint.openai()
        ),
        format!("model_providers.open-cursor.env_key=\"{KEY}\""),
        format!(
            "model_providers.open-cursor.model_catalog_url=\"{}/models\"",
            endpoint.openai()
        ),
        "model_providers.open-cursor.wire_api=\"responses\"".to_owned(),
        format!("model=\"{}\"", endpoint.model()),
    ];
    let args = overrides
        .into_iter()
        .flat_map(|value| ["-c".to_owned(), value]);
    Ok(ClientSetup {
        set: vec![(KEY, endpoint.key.to_owned())],
        args: args.collect(),
        ..ClientSetup::default()
    })
}
