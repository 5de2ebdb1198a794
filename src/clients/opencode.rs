//! OpenCode merges a configuration from its environment over its files.
//!
//! No variable that its other providers read is changed.

use super::{Client, ClientServer, ClientSetup};
use crate::opencode::{ConfigError, DesiredProvider, Inline, Layout, PROVIDER, inline};

pub(super) const CLIENT: Client = Client {
    name: "opencode",
    programs: &["opencode", "opencode-ai"],
    help: "OPENCODE_CONFIG_CONTENT: provider, models and variants, merged over your own files",
    install: Some("npm install -g opencode-ai"),
    wants_models: true,
    setup,
};

const CONTENT: &str = "OPENCODE_CONFIG_CONTENT";

fn setup(endpoint: &ClientServer<'_>) -> Result<ClientSetup, ConfigError> {
    let Some(listing) = endpoint.listing else {
        return Ok(ClientSetup::default());
    };
    let desired = DesiredProvider::new(
        listing,
        &crate::opencode::ModelOptions {
            provider: PROVIDER.to_owned(),
            base_url: endpoint.openai(),
            api_key: None,
            shape: Layout::Compact,
        },
    );
    let theirs = (endpoint.env)(CONTENT);
    let content = inline(&Inline {
        desired: &desired,
        key: endpoint.key,
        model: endpoint.model,
        theirs: theirs.as_deref(),
        places: endpoint.opencode,
    })?;
    Ok(ClientSetup {
        set: vec![(CONTENT, content)],
        ..ClientSetup::default()
    })
}
