//! Which kind of agent answers.

use std::{ffi::OsStr, fmt, path::Path, time::Duration};

use tokio::time::timeout;

use super::{
    AgentError, Env, Program,
    bridge::{self, Bridge},
    discover,
};

/// The choice is left to us.
pub(super) const AUTO: &str = "auto";

/// Cursor's CLI, wherever it is.
pub(super) const PRINT: &str = "print";

/// Cursor's SDK bridge.
pub(super) const BRIDGE: &str = "bridge";

/// What answers.
#[derive(Debug, Clone)]
pub enum AgentChoice {
    /// Cursor's CLI, or a program that speaks its command line.
    Print(Program),
    /// Cursor's SDK bridge; it is not started yet.
    Bridge(Bridge),
}

/// Chooses the agent. `explicit` is `auto`, `print`, `bridge`, `replay`, or a program; nothing is
/// `auto`, unless CURSOR_AGENT_EXECUTABLE names one. `auto` takes the bridge only where there is one
/// and a key for it, and the user has said so by `setup bridge` or by naming it: a key can be billed
/// otherwise than a login. `bridge` is where it is, if it is not to be looked for.
///
/// # Errors
/// [`AgentError::Missing`] with where it would be and the way to install it.
pub async fn choose(
    explicit: Option<&OsStr>,
    bridge: Option<&Path>,
    env: &Env,
) -> Result<AgentChoice, AgentError> {
    let wanted = explicit.filter(|name| !name.is_empty());
    let wanted = wanted.or_else(|| env.get("CURSOR_AGENT_EXECUTABLE"));
    if wanted.is_some_and(|wanted| wanted == BRIDGE) {
        let found = look(bridge, env).await?;
        if let Err(error) = found.found_key() {
            tracing::warn!("requests will fail: {error}");
        }
        return Ok(AgentChoice::Bridge(found));
    }
    if wanted.is_none_or(|wanted| wanted == AUTO) && is_chosen(bridge, env) {
        match look(bridge, env).await {
            Ok(found) => match found.found_key() {
                Ok(key) => {
                    tracing::info!(
                        program = %found.program().display(), key = %key.origin,
                        "runs use Cursor's SDK bridge, since `setup bridge` or --bridge chose it; it \
                         can be billed otherwise than your login; --agent print uses Cursor's CLI"
                    );
                    return Ok(AgentChoice::Bridge(found));
                }
                Err(error) => tracing::info!("runs do not use the bridge: {error}"),
            },
            Err(error) if bridge.is_some() => return Err(error),
            Err(error) => tracing::info!("runs do not use the bridge: {error}"),
        }
    }
    Ok(AgentChoice::Print(discover(explicit, env).await?))
}

/// Whether the user has said that the bridge may be used.
fn is_chosen(bridge: Option<&Path>, env: &Env) -> bool {
    bridge.is_some() || bridge::choice_file(env).is_some_and(|file| file.is_file())
}

async fn look(named: Option<&Path>, env: &Env) -> Result<Bridge, AgentError> {
    let (named, env) = (named.map(Path::to_owned), env.clone());
    let look = move || {
        let program = bridge::locate(named.as_deref().map(Path::as_os_str), &env)?;
        let key = bridge::find_key(&env);
        Ok(Bridge::new(program, &env, key))
    };
    let looked = tokio::task::spawn_blocking(look).await;
    looked.unwrap_or_else(|error| Err(AgentError::Failed(error.to_string())))
}

impl fmt::Display for AgentChoice {
    /// The program and what comes before its arguments, as an [`Agent`](super::Agent) shows itself.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Print(program) => program.fmt(f),
            Self::Bridge(bridge) => bridge.program().display().fmt(f),
        }
    }
}

impl AgentChoice {
    /// The account's models, as `cursor-agent models` lists them. A bridge that this starts is ended.
    ///
    /// # Errors
    /// What the agent said instead, or that it said nothing within `limit`.
    pub async fn models(&self, env: &Env, limit: Duration) -> Result<String, AgentError> {
        match self {
            Self::Print(program) => program.models(&env.for_agent(&[]), limit).await,
            Self::Bridge(bridge) => {
                let models = timeout(limit, bridge.models(None)).await;
                bridge.close().await;
                models.unwrap_or_else(|_| {
                    Err(AgentError::Failed(format!(
                        "{} listed no models within {:.1} s",
                        bridge.program().display(),
                        limit.as_secs_f64()
                    )))
                })
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{os::unix::fs::PermissionsExt, path::PathBuf};

    use super::*;

    fn program(path: &Path) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[tokio::test]
    async fn the_bridge_only_where_it_was_asked_for() {
        let home = tempfile::tempdir().unwrap();
        let at = |path: &str| home.path().join(path);
        let env = |key: &str| -> Env {
            let (home, path) = (at(""), at("bin"));
            let pairs: [(&str, &OsStr); 3] = [
                ("HOME", home.as_ref()),
                ("PATH", path.as_ref()),
                ("CURSOR_API_KEY", key.as_ref()),
            ];
            pairs.into_iter().collect()
        };
        let cli = at("bin/cursor-agent");
        program(&cli);
        let bridge = at("bin/cursor-sdk-bridge");
        program(&bridge);
        let chosen = async |explicit: &str, named: Option<&Path>, key: &str| -> PathBuf {
            let env = env(key);
            match choose(Some(OsStr::new(explicit)), named, &env)
                .await
                .unwrap()
            {
                AgentChoice::Print(program) => program.path,
                AgentChoice::Bridge(bridge) => bridge.program().to_owned(),
            }
        };
        for explicit in ["", "auto", "print"] {
            assert_eq!(chosen(explicit, None, "key_1").await, cli, "{explicit}");
        }
        assert_eq!(chosen("bridge", None, "").await, bridge);
        assert_eq!(chosen("auto", Some(&bridge), "key_1").await, bridge);
        assert_eq!(chosen("print", Some(&bridge), "key_1").await, cli);
        let choice = bridge::choice_file(&env("")).unwrap();
        std::fs::create_dir_all(choice.parent().unwrap()).unwrap();
        std::fs::write(choice, "{}").unwrap();
        assert_eq!(chosen("auto", None, "key_1").await, bridge);
        assert_eq!(chosen("auto", None, "").await, cli, "there is no key");
        assert_eq!(chosen("", None, "key_1").await, bridge);
        assert_eq!(chosen("print", None, "key_1").await, cli);
        assert_eq!(chosen(cli.to_str().unwrap(), None, "key_1").await, cli);
        std::fs::remove_file(&bridge).unwrap();
        assert_eq!(
            chosen("auto", None, "key_1").await,
            cli,
            "there is no bridge"
        );
    }
}
