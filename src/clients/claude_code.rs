//! Claude Code, which speaks Anthropic's Messages API.

use super::{Client, Endpoint, Setup};
use crate::opencode::ConfigError;

pub(super) const CLIENT: Client = Client {
    name: "claude",
    programs: &["claude"],
    wants_models: false,
    setup,
};

fn setup(endpoint: &Endpoint<'_>) -> Result<Setup, ConfigError> {
    let model = || endpoint.model().to_owned();
    Ok(Setup {
        set: vec![
            ("ANTHROPIC_BASE_URL", endpoint.url.to_owned()),
            ("ANTHROPIC_AUTH_TOKEN", endpoint.key.to_owned()),
            ("ANTHROPIC_MODEL", model()),
            // For titles and summaries, which would be asked of Haiku by name.
            ("ANTHROPIC_SMALL_FAST_MODEL", model()),
            ("ANTHROPIC_DEFAULT_HAIKU_MODEL", model()),
        ],
        // Beside a token it is a conflict that Claude Code warns of.
        unset: vec!["ANTHROPIC_API_KEY"],
        args: Vec::new(),
    })
}
