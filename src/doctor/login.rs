//! Whether the agent is logged in, and with which credential.

use super::{CheckResult, Checked, Context};
use crate::auth::{self, CredentialSource, Login};

pub(super) async fn check(context: &Context) -> Checked {
    if let Some(bridge) = &context.bridge {
        let key = bridge.found_key().map_err(CheckResult::problem)?;
        let text = format!("runs use the API key in {}", key.origin);
        return Ok(CheckResult::ok(text)
            .hint("a key can be billed otherwise than your login: look at Cursor's dashboard"));
    }
    let login = context.login().await?.as_ref();
    let login =
        login.map_err(|error| CheckResult::problem(error).hint("run `cursor-agent status`"))?;
    Ok(match (login, auth::source(&context.env)) {
        (Login::In(_), CredentialSource::ApiKey) => CheckResult::warning(
            "logged in with an API key: requests may be billed one by one",
        )
        .hint(
            "to use your plan, unset CURSOR_API_KEY (and a key in CURSOR_ACCESS_TOKEN) and run \
                 `open-cursor login`",
        ),
        (Login::In(_), CredentialSource::Token) => {
            CheckResult::ok("logged in with a token from the environment")
        }
        (Login::In(_), CredentialSource::Login) => CheckResult::ok("logged in"),
        (Login::Out, _) => CheckResult::problem("not logged in").hint("run `open-cursor login`"),
        (Login::Unknown, _) => {
            CheckResult::warning("the agent does not say whether it is logged in")
                .hint("run `cursor-agent status`")
        }
    })
}
