//! Whether the login survives a configuration directory of our own, as every running agent has one.

use std::path::Path;

use super::{Context, finding::Verdict};
use crate::{
    auth::{self, Login},
    sandbox::slot::Places,
};

pub(super) async fn check(context: &Context) -> Verdict {
    let Ok(program) = &context.program else {
        return Verdict::no_agent();
    };
    if !matches!(context.login().await, Some(Ok(Login::In(_)))) {
        return Verdict::info("not checked: there is no login to keep");
    }
    let get = |name: &str| context.env.get(name).map(ToOwned::to_owned);
    let users = Places::from_env(get, &std::env::temp_dir()).user_config;
    let dir = match isolated(&users).await {
        Ok(dir) => dir,
        Err(error) => {
            return Verdict::warning(format!("cannot make a directory to try it: {error}"));
        }
    };
    let set = [("CURSOR_CONFIG_DIR".into(), dir.path().into())];
    match auth::ask(program, &context.env.for_agent(&set)).await {
        Ok(Login::In(_)) => Verdict::ok("a private configuration directory keeps the login"),
        Ok(_) => Verdict::warning(
            "with a private configuration directory, the agent is logged out: runs share yours, so \
             they change its default model, and deny rules do not hold",
        )
        .hint("set CURSOR_AUTH_TOKEN, which needs no directory"),
        Err(error) => Verdict::warning(error.to_string()),
    }
}

/// A directory with nothing but the user's settings.
async fn isolated(users: &Path) -> std::io::Result<tempfile::TempDir> {
    let dir = tempfile::tempdir()?;
    let file = "cli-config.json";
    match tokio::fs::copy(users.join(file), dir.path().join(file)).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(dir),
    }
}
