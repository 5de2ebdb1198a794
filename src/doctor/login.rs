//! Whether the agent is logged in, and with which credential.

use super::{Context, finding::CheckResult};
use crate::auth::{self, CredentialSource, Login};

pub(super) async fn check(context: &Context) -> CheckResult {
    if let Some(bridge) = &context.bridge {
        return match bridge.found_key() {
            Ok(key) => CheckResult::ok(format!("runs use the API key in {}", key.origin))
                .hint("a key can be billed otherwise than your login: look at Cursor's dashboard"),
            Err(error) => CheckResult::problem(error.to_string()),
        };
    }
    let Some(login) = context.login().await else {
        return CheckResult::no_agent();
    };
    match (login, auth::source(&context.env)) {
        (Ok(Login::In(_)), CredentialSource::ApiKey) => CheckResult::warning(
            "logged in with an API key: requests may be billed one by one",
        )
        .hint(
            "to use your plan, unset CURSOR_API_KEY (and a key in CURSOR_ACCESS_TOKEN) and run \
                 `open-cursor login`",
        ),
        (Ok(Login::In(_)), CredentialSource::Token) => {
            CheckResult::ok("logged in with a token from the environment")
        }
        (Ok(Login::In(_)), CredentialSource::Login) => CheckResult::ok("logged in"),
        (Ok(Login::Out), _) => {
            CheckResult::problem("not logged in").hint("run `open-cursor login`")
        }
        (Ok(Login::Unknown), _) => {
            CheckResult::warning("the agent does not say whether it is logged in")
                .hint("run `cursor-agent status`")
        }
        (Err(error), _) => CheckResult::problem(error.clone()).hint("run `cursor-agent status`"),
    }
}
