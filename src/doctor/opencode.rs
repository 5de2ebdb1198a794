//! Whether OpenCode is installed, and which version.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{CheckResult, Checked, Context};
use crate::agent::{Program, ProgramReply, find_program};

/// A large program: its first start is slow.
const LIMIT: Duration = Duration::from_secs(8);

/// Where it creates directories on every start.
const DIRECTORIES: [&str; 4] = [
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
    "XDG_CACHE_HOME",
];

pub(super) async fn check(context: &Context) -> Checked {
    let places = [".opencode/bin", ".bun/bin", ".local/bin"];
    let path = find_program("opencode".as_ref(), &context.env, &places).await;
    let path = path.ok_or_else(|| {
        CheckResult::info("OpenCode is not installed (other clients do not need it)")
            .hint("install it with `npm install -g opencode-ai`")
    })?;
    let shown = path.display().to_string();
    let version = version(context, path).await.map_err(|why| {
        CheckResult::warning(format!("`{shown} --version` does not work: {why}"))
            .hint("reinstall it with `npm install -g opencode-ai`")
    })?;
    Ok(CheckResult::ok(format!("{shown}, version {version}")))
}

/// Runs `--version` without leaving a trace in the user's directories.
async fn version(context: &Context, path: PathBuf) -> Result<String, String> {
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    let own = DIRECTORIES.map(|name| (name.into(), dir.path().into()));
    // The home stays: the program may be a version manager's.
    let kept = ["HOME", "PATH"]
        .into_iter()
        .filter_map(|name| Some((name.into(), context.env.get(name)?.to_owned())));
    let env: Vec<(OsString, OsString)> = kept.chain(own).collect();
    let program = Program {
        path,
        leading_args: Vec::new(),
    };
    let asked = program.query(&["--version"], &env, Path::new("/"), LIMIT);
    let ProgramReply { stdout, stderr, .. } = asked.await.map_err(|error| error.to_string())?;
    let mut lines = stdout
        .lines()
        .map(|line| line.trim().trim_start_matches('v'));
    match lines.find(|line| line.starts_with(|c: char| c.is_ascii_digit())) {
        Some(version) => Ok(format!("{version:.40}")),
        None => Err(format!(
            "it printed `{:.120}`",
            [stdout.trim(), stderr.trim()].concat()
        )),
    }
}
