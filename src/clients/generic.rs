//! Any program that uses an SDK of OpenAI's or Anthropic's, or speaks one of their APIs.

use super::{Client, Endpoint, Setup};
use crate::opencode::ConfigError;

pub(super) const CLIENT: Client = Client {
    name: "generic",
    programs: &[],
    wants_models: false,
    setup,
};

fn setup(endpoint: &Endpoint<'_>) -> Result<Setup, ConfigError> {
    let key = || endpoint.key.to_owned();
    Ok(Setup {
        set: vec![
            ("OPENAI_BASE_URL", endpoint.openai()),
            // The name before OpenAI's SDK 1.0, which others still read.
            ("OPENAI_API_BASE", endpoint.openai()),
            ("OPENAI_API_KEY", key()),
            // Anthropic's SDKs add the `/v1` themselves.
            ("ANTHROPIC_BASE_URL", endpoint.url.to_owned()),
            ("ANTHROPIC_API_KEY", key()),
        ],
        ..Setup::default()
    })
}
