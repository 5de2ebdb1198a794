//! Whether the agent stays logged in with a private configuration directory, as every run has one.

use std::{path::Path, time::Duration};

use super::{CheckResult, Checked, Context};
use crate::{
    auth::{self, Login},
    sandbox::{slot::Places, untrusted},
};

/// See [`Context::login`].
const LIMIT: Duration = Duration::from_secs(20);

pub(super) async fn check(context: &Context) -> Checked {
    let program = context.program()?;
    if !matches!(context.login().await?, Ok(Login::In(_))) {
        let text = "not checked: the agent is not logged in";
        return Ok(CheckResult::info(text));
    }
    let get = |name: &str| context.env.get(name).map(ToOwned::to_owned);
    let users = Places::from_env(get, &std::env::temp_dir()).user_config;
    let dir = isolated(&users).await.map_err(|error| {
        CheckResult::warning(format!("cannot create a directory to test with: {error}"))
    })?;
    let set = [("CURSOR_CONFIG_DIR".into(), dir.path().into())];
    let login = auth::ask(program, &context.env.for_agent(&set), LIMIT).await;
    Ok(match login.map_err(CheckResult::warning)? {
        Login::In(_) => {
            CheckResult::ok("the agent stays logged in with a private configuration directory")
        }
        _ => CheckResult::warning(
            "the agent is logged out with a private configuration directory, so runs use yours: \
             they change its default model, and deny rules do not apply",
        )
        .hint("set CURSOR_AUTH_TOKEN, which works with any directory"),
    })
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
