//! Whether OpenCode is installed, and which version.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Context, finding::Verdict};
use crate::agent::{Program, Reply};

/// It is a large program, and its first start is slow.
const PATIENCE: Duration = Duration::from_secs(8);

/// Where it makes its directories on every start.
const DIRECTORIES: [&str; 4] = [
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
    "XDG_CACHE_HOME",
];

pub(super) async fn check(context: &Context) -> Verdict {
    let Some(path) = context.find("opencode", &[".opencode/bin", ".bun/bin", ".local/bin"]) else {
        return Verdict::info("OpenCode was not found; other clients need none")
            .hint("install it with `npm install -g opencode-ai`");
    };
    let shown = path.display().to_string();
    match version(context, path).await {
        Ok(version) => Verdict::ok(format!("{shown}, version {version}")),
        Err(why) => Verdict::warning(format!("{shown} does not tell its version: {why}")).hint(
            format!("try `{shown} --version`, and install it anew if it fails"),
        ),
    }
}

/// What it calls its version, without a trace in the user's directories.
async fn version(context: &Context, path: PathBuf) -> Result<String, String> {
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    let own = DIRECTORIES.map(|name| (name.into(), dir.path().into()));
    // The home stays: a version manager may stand before the program.
    let kept = ["HOME", "PATH"]
        .into_iter()
        .filter_map(|name| Some((name.into(), context.env.get(name)?.to_owned())));
    let env: Vec<(OsString, OsString)> = kept.chain(own).collect();
    let program = Program {
        path,
        leading_args: Vec::new(),
    };
    let asked = program.query(&["--version"], &env, Path::new("/"), PATIENCE);
    let Reply { stdout, stderr, .. } = asked.await.map_err(|error| error.to_string())?;
    let mut lines = stdout
        .lines()
        .map(|line| line.trim().trim_start_matches('v'));
    match lines.find(|line| line.starts_with(|c: char| c.is_ascii_digit())) {
        Some(version) => Ok(format!("{version:.40}")),
        None => Err(format!(
            "it says `{:.120}`",
            [stdout.trim(), stderr.trim()].concat()
        )),
    }
}
