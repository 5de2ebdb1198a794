//! `open-cursor setup bridge`: installs Cursor's SDK bridge for the user, with the user's own tools.
//!
//! The bridge is Cursor's and proprietary. open-cursor does not ship it: the Python package that holds
//! it comes from PyPI, by the user's `uv` or `pip`, into a directory of ours.

use std::{
    ffi::{OsStr, OsString},
    io::{self, BufRead as _, IsTerminal as _},
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
};

use anyhow::Context as _;
use serde_json::json;
use tokio::process::Command;

use super::{attached, process_env, render};
use crate::{
    agent::{
        Env,
        bridge::{self, Bridge},
    },
    file,
};

/// The package on PyPI.
const PACKAGE: &str = "cursor-sdk";

/// The version that open-cursor was tested with.
const VERSION: &str = "1.1.0";

const NOTICE: &str = "\
The package cursor-sdk holds Cursor's SDK bridge. It is proprietary software of Anysphere, for use under
Cursor's terms (https://cursor.com/terms-of-service); it is not a part of open-cursor. It is about 60 MB.
The bridge works with a Cursor API key, not with the login of Cursor's command line. Runs with an API key
can be billed otherwise than runs with your login: look at Cursor's dashboard after the first ones.
From then on `--agent auto` uses the bridge where there is a key; `open-cursor setup bridge --remove` undoes that.";

/// Install what open-cursor can work with but does not ship
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  open-cursor setup bridge             Cursor's SDK bridge, for runs with an API key
  open-cursor setup bridge --remove")]
pub struct SetupArgs {
    #[command(subcommand)]
    command: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Bridge(BridgeArgs),
}

/// Install Cursor's SDK bridge, the agent that is given the client's tools as real ones
///
/// It needs `uv` or `python3` with `venv`, and a Cursor API key. An installed bridge is used as it is.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  open-cursor setup bridge
  open-cursor setup bridge --yes --sdk-version 1.1.0
  open-cursor setup bridge --remove")]
struct BridgeArgs {
    /// Accept the licence without being asked
    #[arg(long)]
    yes: bool,

    /// Version of the package cursor-sdk
    #[arg(long, value_name = "VERSION", default_value = VERSION)]
    sdk_version: String,

    /// Remove what this command has installed, and use the bridge only where it is asked for
    #[arg(long)]
    remove: bool,
}

/// Runs `setup …`.
pub async fn run(args: SetupArgs) -> anyhow::Result<ExitCode> {
    let What::Bridge(args) = args.command;
    let env = process_env();
    let no_home = || {
        render::hinted(
            "no place for the bridge is known",
            "set HOME or XDG_DATA_HOME",
        )
    };
    let dir = bridge::data_dir(&env).ok_or_else(no_home)?;
    let choice = bridge::choice_file(&env).ok_or_else(no_home)?;
    if args.remove {
        remove(&dir, &choice)?;
        return Ok(ExitCode::SUCCESS);
    }
    if !is_version(&args.sdk_version) {
        return Err(render::usage(
            format_args!("`{}` is not a version", args.sdk_version),
            "write it as in 1.2.3, or leave --sdk-version out",
        ));
    }
    render::note(NOTICE);
    if !args.yes && !accepted()? {
        return Err(render::hinted(
            "nothing was installed",
            "answer `yes`, or add --yes",
        ));
    }
    let program = match bridge::locate(None, &env) {
        Ok(program) => {
            render::note(format_args!(
                "found {}: nothing to install",
                program.display()
            ));
            program
        }
        Err(_) => {
            install(&dir, &args.sdk_version, &env).await?;
            bridge::locate(Some(dir.as_os_str()), &env)?
        }
    };
    let key = bridge::find_key(&env);
    let bridge = Bridge::new(program.clone(), &env, key.clone());
    let progress = render::progress("starting the bridge");
    let about = bridge.about().await;
    bridge.close().await;
    drop(progress);
    let about = about.context("the bridge does not work here")?;
    let text = json!({"program": program, "version": about.version}).to_string();
    file::replace(&choice, text.as_bytes(), None)
        .with_context(|| format!("cannot write {}", choice.display()))?;
    render::line(format_args!(
        "bridge {} works: ready after {} ms ({})",
        about.version,
        about.started_in_ms,
        program.display()
    ));
    match key {
        Ok(key) => render::line(format_args!("API key: {}", key.origin)),
        Err(missing) => render::line(format_args!("no API key yet: {missing}")),
    }
    render::line(
        "`open-cursor serve` uses it from now on; `--agent print` uses Cursor's command line",
    );
    Ok(ExitCode::SUCCESS)
}

/// A version as PyPI has it; anything else could be read as an option or an address.
fn is_version(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '.')
}

/// Asks on the terminal.
fn accepted() -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        return Err(render::usage(
            "nobody can be asked here whether the licence is accepted",
            "add --yes to accept it",
        ));
    }
    render::note("Install it? (yes/no)");
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "yes"))
}

/// Makes a Python environment in `dir` and installs the package there. A failure leaves nothing.
async fn install(dir: &Path, version: &str, env: &Env) -> anyhow::Result<()> {
    clear(dir)?;
    let steps = steps(dir, version, &|name| on_path(name, env)).ok_or_else(|| {
        let hint = "install uv (https://docs.astral.sh/uv) or Python 3 with venv, or name an \
                    installed bridge in CURSOR_SDK_BRIDGE";
        render::hinted("neither uv nor python3 is on PATH", hint)
    })?;
    for step in steps {
        let (program, args) = step.split_first().context("a step without a program")?;
        let mut command = Command::new(program);
        // What the installer prints is progress, not data.
        command.args(args).stdin(Stdio::null()).stdout(io::stderr());
        let code = attached::run(command).await;
        let shown = program.display();
        let code = code.with_context(|| format!("cannot start {shown}"))?;
        if code != 0 {
            clear(dir)?;
            let hint = "its output above says why; nothing of it was kept";
            return Err(render::hinted(
                format_args!("{shown} failed with exit code {code}"),
                hint,
            ));
        }
    }
    Ok(())
}

fn clear(dir: &Path) -> anyhow::Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.with_context(|| format!("cannot remove {}", dir.display())),
    }
}

/// The commands that install the package: with uv, else with Python's own tools.
fn steps(
    dir: &Path,
    version: &str,
    on_path: &dyn Fn(&str) -> Option<PathBuf>,
) -> Option<[Vec<OsString>; 2]> {
    let package = format!("{PACKAGE}=={version}");
    let python = dir.join("bin/python");
    let (dir, package) = (dir.as_os_str(), OsStr::new(&package));
    let step = |program: &Path, words: &str, last: &[&OsStr]| {
        let words = words.split(' ').map(OsStr::new);
        let step = [program.as_os_str()].into_iter().chain(words);
        step.chain(last.iter().copied())
            .map(OsString::from)
            .collect()
    };
    if let Some(uv) = on_path("uv") {
        return Some([
            step(&uv, "venv", &[dir]),
            step(&uv, "pip install --python", &[python.as_os_str(), package]),
        ]);
    }
    let pip = "-m pip install --disable-pip-version-check";
    Some([
        step(&on_path("python3")?, "-m venv", &[dir]),
        step(&python, pip, &[package]),
    ])
}

fn on_path(name: &str, env: &Env) -> Option<PathBuf> {
    let places = std::env::split_paths(env.get("PATH")?);
    let mut paths = places.map(|place| place.join(name));
    paths.find(|path| path.is_absolute() && path.is_file())
}

/// Removes what was installed, and the user's choice.
fn remove(dir: &Path, choice: &Path) -> anyhow::Result<()> {
    let had = dir.exists() || choice.exists();
    clear(dir)?;
    match std::fs::remove_file(choice) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot remove {}", choice.display()));
        }
        _ => {}
    }
    render::line(if had {
        format!("removed {}", dir.display())
    } else {
        "there was nothing to remove".to_owned()
    });
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn uv_before_python() {
        let text = |have: &[&str]| {
            let on_path = |name: &str| {
                have.contains(&name)
                    .then(|| PathBuf::from("/bin").join(name))
            };
            let steps = steps(Path::new("/d"), "1.1.0", &on_path)?;
            let lines = steps.map(|step| step.join(" ".as_ref()).into_string().unwrap());
            Some(lines.join("\n"))
        };
        assert_eq!(
            text(&["uv", "python3"]).unwrap(),
            "/bin/uv venv /d\n/bin/uv pip install --python /d/bin/python cursor-sdk==1.1.0"
        );
        assert_eq!(
            text(&["python3"]).unwrap(),
            "/bin/python3 -m venv /d\n\
             /d/bin/python -m pip install --disable-pip-version-check cursor-sdk==1.1.0"
        );
        assert_eq!(text(&[]), None);
    }

    #[test]
    fn versions() {
        for (text, is) in [
            ("1.1.0", true),
            ("1.2.0rc1", true),
            ("", false),
            ("-r x", false),
            ("1.0 @ file", false),
        ] {
            assert_eq!(is_version(text), is, "{text}");
        }
    }
}
