//! Gemini CLI uses Google's Gemini API, at another base URL.

use super::{Client, ClientServer, ClientSetup};
use crate::opencode::ConfigError;

pub(super) const CLIENT: Client = Client {
    name: "gemini",
    programs: &["gemini"],
    help: "GOOGLE_GEMINI_BASE_URL, GEMINI_API_KEY, GEMINI_MODEL",
    install: Some("npm install -g @google/gemini-cli"),
    wants_models: false,
    setup,
};

fn setup(endpoint: &ClientServer<'_>) -> Result<ClientSetup, ConfigError> {
    Ok(ClientSetup {
        set: vec![
            ("GOOGLE_GEMINI_BASE_URL", endpoint.url.to_owned()),
            ("GEMINI_API_KEY", endpoint.key.to_owned()),
            ("GEMINI_MODEL", endpoint.model().to_owned()),
        ],
        // Each of them chooses another service.
        unset: vec![
            "GOOGLE_API_KEY",
            "GOOGLE_GENAI_USE_VERTEXAI",
            "GOOGLE_GENAI_USE_GCA",
        ],
        ..ClientSetup::default()
    })
}
