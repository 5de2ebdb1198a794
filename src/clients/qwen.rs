//! Qwen Code reads OpenAI's variables if it is configured for that API.

use super::{Client, ClientServer, ClientSetup};
use crate::opencode::ConfigError;

pub(super) const CLIENT: Client = Client {
    name: "qwen",
    programs: &["qwen"],
    help: "OPENAI_BASE_URL, OPENAI_API_KEY, OPENAI_MODEL and the arguments `--auth-type openai -m MODEL`",
    install: Some("npm install -g @qwen-code/qwen-code"),
    wants_models: false,
    setup,
};

fn setup(endpoint: &ClientServer<'_>) -> Result<ClientSetup, ConfigError> {
    let model = endpoint.model().to_owned();
    let args = ["--auth-type", "openai", "-m", &model].map(str::to_owned);
    Ok(ClientSetup {
        args: args.to_vec(),
        set: vec![
            ("OPENAI_BASE_URL", endpoint.openai()),
            ("OPENAI_API_KEY", endpoint.key.to_owned()),
            ("OPENAI_MODEL", model),
        ],
        // It sends everything to a proxy, also what NO_PROXY excepts.
        unset: vec!["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"],
        ..ClientSetup::default()
    })
}
