//! OpenCode: a configuration in its environment, which it merges over its files.
//!
//! Its other providers stay as they are, so no variable that they read is touched.

use super::{Client, Endpoint, Setup};
use crate::opencode::{ConfigError, DesiredProvider, Inline, Layout, PROVIDER, inline};

pub(super) const CLIENT: Client = Client {
    name: "opencode",
    programs: &["opencode", "opencode-ai"],
    wants_models: true,
    setup,
};

const CONTENT: &str = "OPENCODE_CONFIG_CONTENT";

fn setup(endpoint: &Endpoint<'_>) -> Result<Setup, ConfigError> {
    let Some(listing) = endpoint.listing else {
        return Ok(Setup::default());
    };
    let wish = DesiredProvider::new(
        listing,
        &crate::opencode::Options {
            provider: PROVIDER.to_owned(),
            base_url: endpoint.openai(),
            shape: Layout::Compact,
        },
    );
    let theirs = (endpoint.env)(CONTENT);
    let content = inline(&Inline {
        wish: &wish,
        key: endpoint.key,
        model: endpoint.model,
        theirs: theirs.as_deref(),
        places: endpoint.opencode,
    })?;
    Ok(Setup {
        set: vec![(CONTENT, content)],
        ..Setup::default()
    })
}
