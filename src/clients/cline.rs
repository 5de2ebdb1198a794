//! Cline's CLI reads its providers from a file of settings only, whose path is in its environment.

use serde_json::json;

use super::{Client, ClientServer, ClientSetup, Passed, TemporaryFile};
use crate::opencode::ConfigError;

pub(super) const CLIENT: Client = Client {
    name: "cline",
    programs: &["cline"],
    help: "CLINE_PROVIDER_SETTINGS_PATH (a temporary file), CLINE_SESSION_BACKEND_MODE",
    install: Some("npm install -g cline"),
    wants_models: false,
    setup,
};

const PROVIDER: &str = "openai-compatible";

fn setup(endpoint: &ClientServer<'_>) -> Result<ClientSetup, ConfigError> {
    let content = json!({
        "version": 1, "lastUsedProvider": PROVIDER, "modes": {},
        "providers": {PROVIDER: {
            "settings": {
                "provider": PROVIDER, "apiKey": endpoint.key, "model": endpoint.model(),
                "baseUrl": endpoint.openai(),
            },
            "updatedAt": "1970-01-01T00:00:00.000Z", "tokenSource": "manual",
        }},
    });
    Ok(ClientSetup {
        // Its daemon would stay, with the address of a server that is gone.
        set: vec![("CLINE_SESSION_BACKEND_MODE", "local".to_owned())],
        config: Some(TemporaryFile {
            name: "providers.json",
            content: content.to_string(),
            passed: Passed::Variable("CLINE_PROVIDER_SETTINGS_PATH"),
        }),
        ..ClientSetup::default()
    })
}
