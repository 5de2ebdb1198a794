//! The variables of clients whose values depend on more than the server.

use super::{ClientServer, Variables};
use crate::{
    models::{group, limits_of, parse},
    opencode::{ConfigError, DesiredProvider, Inline, Layout, ModelOptions, PROVIDER, inline},
};

/// OpenCode's configuration, with the account's models.
pub(super) fn opencode(server: &ClientServer<'_>) -> Result<Variables, ConfigError> {
    let Some(listing) = server.listing else {
        return Ok(Vec::new());
    };
    let options = ModelOptions {
        provider: PROVIDER.to_owned(),
        base_url: server.openai(),
        api_key: None,
        shape: Layout::Compact,
    };
    let name = "OPENCODE_CONFIG_CONTENT";
    let theirs = (server.env)(name);
    let content = inline(&Inline {
        desired: &DesiredProvider::new(listing, &options),
        key: server.key,
        model: server.model,
        theirs: theirs.as_deref(),
        places: server.opencode,
    })?;
    Ok(vec![(name, content)])
}

/// The context window of the model in tokens, which Claude Code does not know of models of other names;
/// where it is not known to us, Claude Code's own default.
pub(super) fn claude_code(server: &ClientServer<'_>) -> Result<Variables, ConfigError> {
    let families = parse(&format!("{0} - {0}", server.model())).map(|listed| group(&listed));
    let families = families.unwrap_or_default();
    let member = families.first().and_then(|family| family.members.first());
    let context = member.and_then(|member| limits_of(member).context);
    let context = context.unwrap_or(200_000).to_string();
    Ok(vec![("CLAUDE_CODE_MAX_CONTEXT_TOKENS", context)])
}

/// Aider does not know our models, and would ask about them at every start.
pub(super) fn aider(server: &ClientServer<'_>) -> Result<Variables, ConfigError> {
    let name = "AIDER_SHOW_MODEL_WARNINGS";
    let is_set = (server.env)(name).is_some();
    let variable = (!is_set).then(|| (name, "false".to_owned()));
    Ok(variable.into_iter().collect())
}
