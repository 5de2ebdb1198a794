//! `open-cursor serve`.

mod access;
mod executor;
mod place;
mod reload;
mod running;

pub(super) use place::workspace;
pub(super) use running::Running;

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{dirs::UserDirs, flags::ServeFlags, greeting, render};
use crate::{
    http::{Address, Shutdown},
    telemetry,
};

/// How long running turns have after the first signal.
const GRACE: Duration = Duration::from_secs(10);

/// Serve OpenAI's API on this machine, answered by Cursor's agent
///
/// Clients use http://127.0.0.1:32124/v1 as base URL, any text as API key, and `auto` or a name from
/// GET /v1/models as model. Stop with Ctrl-C: running answers have 10 s to finish. `open-cursor reload`
/// makes it read its configuration file again.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  open-cursor serve
  open-cursor serve --port 0 --server-info /tmp/server.json
  open-cursor serve --agent ~/.local/bin/cursor-agent --workspace ~/project")]
pub struct ServeArgs {
    #[command(flatten)]
    flags: ServeFlags,

    /// Write {"url","port","pid"} to this file once the server listens
    #[arg(long, value_name = "FILE")]
    server_info: Option<PathBuf>,
}

/// Serves until a signal.
pub async fn run(args: ServeArgs, dirs: &UserDirs) -> anyhow::Result<ExitCode> {
    let resolved = dirs.settings(&args.flags.0)?;
    let settings = &resolved.settings;
    telemetry::init(
        &settings.log_level,
        settings.log_format,
        settings.log_file.as_deref(),
    )
    .map_err(|error| {
        render::usage(
            format_args!("--log-file {error}"),
            "name a file in a directory that you may write to",
        )
    })?;
    let shutdown = shutdown_on_signals()?;
    let api_key = access::api_key(settings).await?;
    let running = Running::start(&resolved, dirs.files.clone(), api_key).await?;
    if let Some(path) = &args.server_info {
        write_server_info(path, &running)?;
    }
    greeting::say(&running);
    // Asked now, so that the first request that names a model need not wait for the answer.
    tokio::spawn(greeting::say_account(Arc::clone(&running.app)));
    let reload = tokio::spawn(reload::on_signals(
        args.flags.0,
        dirs.clone(),
        Arc::clone(&running.app),
        resolved,
    )?);
    running.server.run(running.app, shutdown).await;
    reload.abort();
    Ok(ExitCode::SUCCESS)
}

/// The first SIGINT, SIGTERM or SIGHUP drains, the second ends at once.
fn shutdown_on_signals() -> anyhow::Result<Shutdown> {
    let shutdown = Shutdown {
        drain: CancellationToken::new(),
        now: CancellationToken::new(),
        grace: GRACE,
    };
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot handle SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot handle SIGTERM")?;
    let mut hangup = signal(SignalKind::hangup()).context("cannot handle SIGHUP")?;
    let tokens = shutdown.clone();
    tokio::spawn(async move {
        for token in [tokens.drain, tokens.now] {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            token.cancel();
            tracing::info!("stopping");
        }
    });
    Ok(shutdown)
}

/// Writes the file atomically: programs read it as soon as it exists.
fn write_server_info(path: &Path, running: &Running) -> anyhow::Result<()> {
    let (port, socket) = match running.server.address() {
        Address::Tcp(addr) => (Some(addr.port()), None),
        Address::Unix(socket) => (None, Some(socket)),
    };
    let info = json!({
        "url": running.url(), "port": port, "socket": socket, "pid": std::process::id(),
    });
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let written = tempfile::NamedTempFile::new_in(dir.unwrap_or(Path::new("."))).and_then(|file| {
        writeln!(&file, "{info}")?;
        // Not synced: it is worth nothing after a crash.
        file.persist(path).map_err(|error| error.error)
    });
    written
        .map(drop)
        .with_context(|| format!("--server-info {}", path.display()))
}
