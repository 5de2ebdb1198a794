//! Crush reads providers from `crush.json` in its directory; your `crushrc` is merged with it.

use serde_json::json;

use super::{Client, ClientServer, ClientSetup, Passed, TemporaryFile};
use crate::opencode::ConfigError;

pub(super) const CLIENT: Client = Client {
    name: "crush",
    programs: &["crush"],
    help: "CRUSH_GLOBAL_CONFIG (a temporary directory with crush.json and links to your files), OPEN_CURSOR_API_KEY",
    install: Some("npm install -g @charmland/crush"),
    wants_models: false,
    setup,
};

const DIRECTORY: &str = "CRUSH_GLOBAL_CONFIG";
const KEY: &str = "OPEN_CURSOR_API_KEY";

fn setup(endpoint: &ClientServer<'_>) -> Result<ClientSetup, ConfigError> {
    let model = endpoint.model();
    let chosen = json!({"provider": "open-cursor", "model": model});
    let content = json!({
        "providers": {"open-cursor": {
            "name": "open-cursor", "type": "openai-compat", "base_url": endpoint.openai(),
            "api_key": format!("${KEY}"),
            "models": [{"id": model, "name": model, "context_window": 200_000, "default_max_tokens": 32_000}],
        }},
        "models": {"large": chosen, "small": chosen},
    });
    let users = (endpoint.env)(DIRECTORY).map(Into::into);
    Ok(ClientSetup {
        set: vec![(KEY, endpoint.key.to_owned())],
        config: Some(TemporaryFile {
            name: "crush.json",
            content: content.to_string(),
            passed: Passed::Directory(
                DIRECTORY,
                users.or_else(|| endpoint.in_home(".config/crush")),
            ),
        }),
        ..ClientSetup::default()
    })
}
