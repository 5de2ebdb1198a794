//! Continue's CLI reads its models from a configuration file only. JSON is YAML, too.

use serde_json::json;

use super::{Client, ClientServer, ClientSetup, Passed, TemporaryFile};
use crate::opencode::ConfigError;

pub(super) const CLIENT: Client = Client {
    name: "cn",
    programs: &["cn"],
    help: "the argument `--config` and a temporary configuration file",
    install: Some("npm install -g @continuedev/cli"),
    wants_models: false,
    setup,
};

fn setup(endpoint: &ClientServer<'_>) -> Result<ClientSetup, ConfigError> {
    let content = json!({
        "name": "open-cursor", "version": "0.0.1", "schema": "v1",
        "models": [{
            "name": endpoint.model(), "provider": "openai", "model": endpoint.model(),
            "apiBase": endpoint.openai(), "apiKey": endpoint.key,
            "roles": ["chat", "edit", "apply"], "capabilities": ["tool_use", "image_input"],
        }],
    });
    Ok(ClientSetup {
        config: Some(TemporaryFile {
            name: "config.yaml",
            content: content.to_string(),
            passed: Passed::Argument("--config"),
        }),
        ..ClientSetup::default()
    })
}
