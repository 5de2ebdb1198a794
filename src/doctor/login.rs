//! Whether the agent is logged in, and with which credential.

use super::{Context, finding::Verdict};
use crate::auth::{self, CredentialSource, Login};

pub(super) async fn check(context: &Context) -> Verdict {
    let Some(login) = context.login().await else {
        return Verdict::no_agent();
    };
    match (login, auth::source(&context.env)) {
        (Ok(Login::In(_)), CredentialSource::ApiKey) => {
            Verdict::warning("logged in with an API key: requests may be billed one by one").hint(
                "to use your plan, unset CURSOR_API_KEY (and a key in CURSOR_ACCESS_TOKEN) and run \
                 `open-cursor login`",
            )
        }
        (Ok(Login::In(_)), CredentialSource::Token) => {
            Verdict::ok("logged in with a token from the environment")
        }
        (Ok(Login::In(_)), CredentialSource::Login) => Verdict::ok("logged in"),
        (Ok(Login::Out), _) => Verdict::problem("not logged in").hint("run `open-cursor login`"),
        (Ok(Login::Unknown), _) => {
            Verdict::warning("the agent does not say whether it is logged in")
                .hint("run `cursor-agent status`")
        }
        (Err(error), _) => Verdict::problem(error.clone()).hint("run `cursor-agent status`"),
    }
}
