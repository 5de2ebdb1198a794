//! Codex, which reads its server from its configuration only; `-c` overrides that for one process.
//! The key goes by the environment all the same. Without the address of a catalogue it asks nobody
//! for models, and takes ours for ones that it does not know.

use super::{Client, Endpoint, Setup};
use crate::opencode::ConfigError;

pub(super) const CLIENT: Client = Client {
    name: "codex",
    programs: &["codex"],
    wants_models: false,
    setup,
};

const KEY: &str = "OPEN_CURSOR_API_KEY";

fn setup(endpoint: &Endpoint<'_>) -> Result<Setup, ConfigError> {
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
    Ok(Setup {
        set: vec![(KEY, endpoint.key.to_owned())],
        args: args.collect(),
        ..Setup::default()
    })
}
