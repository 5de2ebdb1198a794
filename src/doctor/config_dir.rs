//! Whether the agent stays logged in with a private configuration directory, as every run has one.

use std::{path::Path, time::Duration};

use super::{Context, finding::CheckResult};
use crate::{
    auth::{self, Login},
    sandbox::{slot::Places, untrusted},
};

/// See [`Context::login`].
const LIMIT: Duration = Duration::from_secs(20);

pub(super) async fn check(context: &Context) -> CheckResult {
    let Ok(program) = &context.program else {
        return CheckResult::no_agent();
    };
    if !matches!(context.login().await, Some(Ok(Login::In(_)))) {
        return CheckResult::info("not checked: the agent is not logged in");
    }
    let get = |name: &str| context.env.get(name).map(ToOwned::to_owned);
    let users = Places::from_env(get, &std::env::temp_dir()).user_config;
    let dir = match isolated(&users).await {
        Ok(dir) => dir,
        Err(error) => {
            return CheckResult::warning(format!(
                "cannot create a directory to test with: {error}"
            ));
        }
    };
    let set = [("CURSOR_CONFIG_DIR".into(), dir.path().into())];
    match auth::ask(program, &context.env.for_agent(&set), LIMIT).await {
        Ok(Login::In(_)) => {
            CheckResult::ok("the agent stays logged in with a private configuration directory")
        }
        Ok(_) => CheckResult::warning(
            "the agent is logged out with a private configuration directory, so runs use yours: \
             they change its default model, and deny rules do not apply",
        )
        .hint("set CURSOR_AUTH_TOKEN, which works with any directory"),
        Err(error) => CheckResult::warning(error.to_string()),
    }
}

/// A directory with nothing but the user's settings.
async fn isolated(users: &Path) -> std::io::Result<tempfile::TempDir> {
    let dir = tempfile::tempdir()?;
    let file = "cli-config.json";
    let (from, to) = (users.join(file), dir.path().join(file));
    let copied = tokio::task::spawn_blocking(move || std::fs::write(to, untrusted::read(&from)?));
    match copied.await.map_err(std::io::Error::other)? {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(dir),
    }
}
