//! pi reads custom providers from `models.json` in its directory.

use serde_json::json;

use super::{Client, ClientServer, ClientSetup, Passed, TemporaryFile};
use crate::opencode::ConfigError;

pub(super) const CLIENT: Client = Client {
    name: "pi",
    programs: &["pi"],
    help: "PI_CODING_AGENT_DIR (a temporary directory with models.json and links to your files), OPEN_CURSOR_API_KEY, and the arguments `--provider open-cursor --model MODEL`",
    install: Some("npm install -g @mariozechner/pi-coding-agent"),
    wants_models: false,
    setup,
};

const DIRECTORY: &str = "PI_CODING_AGENT_DIR";
const KEY: &str = "OPEN_CURSOR_API_KEY";

fn setup(endpoint: &ClientServer<'_>) -> Result<ClientSetup, ConfigError> {
    let model = endpoint.model();
    let content = json!({"providers": {"open-cursor": {
        "baseUrl": endpoint.openai(), "api": "openai-completions", "apiKey": KEY,
        "models": [{"id": model}],
    }}});
    let args = ["--provider", "open-cursor", "--model", model].map(str::to_owned);
    let users = (endpoint.env)(DIRECTORY).map(Into::into);
    Ok(ClientSetup {
        set: vec![(KEY, endpoint.key.to_owned())],
        args: args.to_vec(),
        config: Some(TemporaryFile {
            name: "models.json",
            content: content.to_string(),
            passed: Passed::Directory(DIRECTORY, users.or_else(|| endpoint.in_home(".pi/agent"))),
        }),
        ..ClientSetup::default()
    })
}
