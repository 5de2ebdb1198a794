//! Which program the agent is.

use std::{
    ffi::OsStr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    AgentError, Env, Program,
    choice::{AUTO, BRIDGE, PRINT},
    program::spawn_error,
};

/// The name of the agent that is built in.
const REPLAY: &str = "replay";

/// Where Cursor's installer puts it, below the home.
const INSTALLED: [&str; 2] = [".local/bin", ".cursor/bin"];

/// How long a program called `agent` may take to say whose it is.
const PROOF: Duration = Duration::from_secs(10);

/// Finds the agent: `explicit`, else `CURSOR_AGENT_EXECUTABLE`, else `cursor-agent` and then
/// `agent` on PATH and where Cursor's installer puts them (FACTS 1.1). A name without a slash
/// is looked up in the same places; `replay` is the agent that is built in; `auto`, `print` and
/// `bridge` are not the name of a program.
///
/// # Errors
/// [`AgentError::Missing`] with where it would be and the way to install it.
pub async fn discover(explicit: Option<&OsStr>, env: &Env) -> Result<Program, AgentError> {
    let wanted = explicit.filter(|name| !name.is_empty());
    let wanted = wanted.or_else(|| env.get("CURSOR_AGENT_EXECUTABLE"));
    let is_kind = |name: &OsStr| [AUTO, BRIDGE, PRINT].iter().any(|kind| name == *kind);
    let Some(wanted) = wanted.filter(|name| !is_kind(name)) else {
        return search(env).await;
    };
    if wanted == REPLAY {
        let path = std::env::current_exe().map_err(|error| spawn_error(REPLAY, &error))?;
        return Ok(Program {
            path,
            leading_args: vec!["replay-agent".into()],
        });
    }
    if !wanted.as_encoded_bytes().contains(&b'/') {
        let found = find_program(wanted, env, &INSTALLED).await;
        return found
            .map(Program::at)
            .ok_or_else(|| missing(wanted, env, &[]));
    }
    let path = std::path::absolute(wanted).map_err(|error| spawn_error(wanted, &error))?;
    if !is_executable(&path).await {
        let searched = format!("{} is not an executable file", path.display());
        return Err(AgentError::Missing(searched));
    }
    Ok(Program::at(path))
}

async fn search(env: &Env) -> Result<Program, AgentError> {
    if let Some(path) = find_program("cursor-agent".as_ref(), env, &INSTALLED).await {
        return Ok(Program::at(path));
    }
    let places = places(env, &INSTALLED);
    // Another vendor's program has this name too, so it has to prove itself.
    let mut foreign = Vec::new();
    for place in &places {
        let path = place.join("agent");
        if !is_executable(&path).await {
            continue;
        }
        let program = Program::at(path);
        let help = program
            .query(&["--help"], &env.for_agent(&[]), Path::new("/"), PROOF)
            .await;
        if help.is_ok_and(|help| help.stdout.contains("Cursor")) {
            return Ok(program);
        }
        foreign.push(program.path);
    }
    tracing::debug!(?places, "no cursor-agent");
    Err(missing("cursor-agent".as_ref(), env, &foreign))
}

/// Finds an executable file on PATH, then in directories below the home.
pub async fn find_program(name: &OsStr, env: &Env, in_home: &[&str]) -> Option<PathBuf> {
    for place in places(env, in_home) {
        let path = place.join(name);
        if is_executable(&path).await {
            return Some(path);
        }
    }
    None
}

/// The directories of PATH, then those below the home. Relative ones would depend on where we were
/// started.
fn places(env: &Env, in_home: &[&str]) -> Vec<PathBuf> {
    let path = env.get("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = Vec::new();
    for place in std::env::split_paths(path).chain(below_home(env, in_home)) {
        if place.is_absolute() && !places.contains(&place) {
            places.push(place);
        }
    }
    places
}

fn below_home(env: &Env, directories: &[&str]) -> Vec<PathBuf> {
    let home = env.get("HOME").map(Path::new);
    directories
        .iter()
        .filter_map(|directory| Some(home?.join(directory)))
        .collect()
}

async fn is_executable(path: &Path) -> bool {
    let metadata = tokio::fs::metadata(path).await;
    metadata.is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

fn missing(name: &OsStr, env: &Env, foreign: &[PathBuf]) -> AgentError {
    let list = |paths: &[PathBuf], last: &str| {
        let shown: Vec<_> = paths
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        shown.join(last)
    };
    let mut searched = format!("{} is not on PATH", name.display());
    let installed = below_home(env, &INSTALLED);
    if !installed.is_empty() {
        searched += &format!(", nor in {}", list(&installed, " or "));
    }
    if !foreign.is_empty() {
        searched += &format!(" ({} is not Cursor's)", list(foreign, ", "));
    }
    searched += ". Install Cursor's CLI with `curl https://cursor.com/install -fsS | bash`, or name \
                 the program in CURSOR_AGENT_EXECUTABLE or as `agent` in config.toml";
    AgentError::Missing(searched)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
