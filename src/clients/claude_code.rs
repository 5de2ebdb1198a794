//! Claude Code uses Anthropic's Messages API.

use super::{Client, ClientServer, ClientSetup};
use crate::{
    models::{group, limits_of, parse},
    opencode::ConfigError,
};

pub(super) const CLIENT: Client = Client {
    name: "claude",
    programs: &["claude"],
    help: "ANTHROPIC_BASE_URL, ANTHROPIC_AUTH_TOKEN, the models, CLAUDE_CODE_MAX_CONTEXT_TOKENS; removes ANTHROPIC_API_KEY",
    install: Some("npm install -g @anthropic-ai/claude-code"),
    wants_models: false,
    setup,
};

fn setup(endpoint: &ClientServer<'_>) -> Result<ClientSetup, ConfigError> {
    let model = || endpoint.model().to_owned();
    Ok(ClientSetup {
        set: vec![
            ("ANTHROPIC_BASE_URL", endpoint.url.to_owned()),
            ("ANTHROPIC_AUTH_TOKEN", endpoint.key.to_owned()),
            ("ANTHROPIC_MODEL", model()),
            // For titles and summaries; it would ask for Haiku by name.
            ("ANTHROPIC_SMALL_FAST_MODEL", model()),
            ("ANTHROPIC_DEFAULT_HAIKU_MODEL", model()),
            // Without it, Claude Code does not know the size of models of other names.
            (
                "CLAUDE_CODE_MAX_CONTEXT_TOKENS",
                context(endpoint.model()).to_string(),
            ),
        ],
        // Claude Code warns if both a token and a key are set.
        unset: vec!["ANTHROPIC_API_KEY"],
        ..ClientSetup::default()
    })
}

/// The context window of a model in tokens; where it is not known, Claude Code's own default.
fn context(model: &str) -> u64 {
    let families = parse(&format!("{model} - {model}")).map(|listed| group(&listed));
    let member = families
        .as_ref()
        .ok()
        .and_then(|families| families.first()?.members.first());
    let known = member.and_then(|member| limits_of(member).context);
    known.unwrap_or(200_000)
}
