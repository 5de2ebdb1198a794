//! `open-cursor reload`.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{dirs::UserDirs, render};
use crate::{http, settings::Flags};

/// Make the running server read its settings again
///
/// It takes over stall-timeout, api-key-file, keys-file, daily-budget, max-tokens-per-turn, fallback-models, allow-users, allow-host, allow-origin, dump-dir, dump-keep
/// and log-level; its log names what else has changed and needs a restart. The same as SIGUSR1.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  open-cursor reload
  open-cursor reload --pid 4711")]
pub struct ReloadArgs {
    /// Process of the server [default: the one that listens on the configured address]
    #[arg(long)]
    pid: Option<u32>,
}

/// Finds the server and sends it the signal.
pub async fn run(args: ReloadArgs, dirs: &UserDirs) -> anyhow::Result<ExitCode> {
    let pid = match args.pid {
        Some(pid) => pid,
        None => {
            let settings = dirs.settings(&Flags::new())?.settings;
            let addr = SocketAddr::new(settings.host, settings.port);
            let server = http::identify(addr).await.ok_or_else(|| {
                render::hinted(
                    format_args!("no open-cursor listens on {addr}"),
                    "start one with `open-cursor serve`, or name its process with --pid",
                )
            })?;
            server.pid
        }
    };
    // Whatever answers at the address could name any process, and the signal ends most programs.
    if !is_ours(pid) {
        return Err(render::hinted(
            format_args!("process {pid} is not an open-cursor of yours"),
            "name the server's process with --pid",
        ));
    }
    let id = i32::try_from(pid).map(Pid::from_raw)?;
    kill(id, Signal::SIGUSR1)
        .map_err(|error| anyhow::anyhow!("cannot signal process {pid}: {error}"))?;
    render::note(format_args!("told process {pid} to reload; see its log"));
    Ok(ExitCode::SUCCESS)
}

/// Whether the process runs a program of our name.
fn is_ours(pid: u32) -> bool {
    let program = |pid: &str| std::fs::read_link(PathBuf::from("/proc").join(pid).join("exe")).ok();
    let name = |path: PathBuf| {
        // The kernel marks a program that was replaced by a newer one.
        let name = path.file_name()?.to_string_lossy().into_owned();
        Some(name.trim_end_matches(" (deleted)").to_owned())
    };
    if !cfg!(target_os = "linux") {
        return true;
    }
    program(&pid.to_string()).and_then(name) == program("self").and_then(name)
}
