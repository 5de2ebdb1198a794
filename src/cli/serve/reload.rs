//! Settings that are read again while the server runs.

use std::sync::Arc;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use super::access::{api_key, dumps, http_config};
use crate::{
    cli::dirs::UserDirs,
    http::{self, App},
    settings::{Flags, Resolved},
    telemetry,
};

/// Reloads the settings at each SIGUSR1. If one is invalid, all stay.
pub(super) fn on_signals(
    flags: Flags,
    dirs: UserDirs,
    app: Arc<App>,
    mut current: Resolved,
) -> anyhow::Result<impl Future<Output = ()>> {
    let mut reload = signal(SignalKind::user_defined1()).context("cannot handle SIGUSR1")?;
    Ok(async move {
        while reload.recv().await.is_some() {
            match reloaded(&flags, &dirs, &app, &current).await {
                Ok(new) => current = new,
                Err(error) => tracing::error!("settings were not reloaded: {error:#}"),
            }
        }
    })
}

async fn reloaded(
    flags: &Flags,
    dirs: &UserDirs,
    app: &App,
    current: &Resolved,
) -> anyhow::Result<Resolved> {
    let new = dirs.settings(flags)?;
    let (taken, rest) = current.changes(&new);
    let is_new = |name: &str| taken.contains(&name);
    let dumps = if is_new("dump-dir") || is_new("dump-keep") {
        dumps(&new.settings)?
    } else {
        app.config().dumps.clone()
    };
    // The file's content may be new where its name is not.
    let api_key = api_key(&new.settings).await?;
    let config = http_config(&new, api_key, dumps).await?;
    app.configure(http::HttpConfig {
        bound: app.config().bound,
        settings: current.digest(),
        ..config
    });
    telemetry::show(&new.settings.log_level);
    tracing::info!(changed = taken.join(", "), "settings were reloaded");
    if !rest.is_empty() {
        tracing::warn!(settings = rest.join(", "), "changed, but need a restart");
    }
    Ok(new)
}
