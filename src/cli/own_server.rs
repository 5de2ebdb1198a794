//! A server of a command's own, which ends with it: on this machine alone, and on any free port.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{dirs::ServerFiles, serve::Running};
use crate::{
    http::{ApiKey, App, Shutdown},
    settings::Resolved,
};

/// A server that runs until it is closed or dropped.
pub struct OwnServer {
    /// The application that it serves.
    pub app: Arc<App>,
    /// Where it listens.
    pub addr: SocketAddr,
    task: JoinHandle<()>,
    end: DropGuard,
}

impl OwnServer {
    /// Starts it with the settings, except for where it listens.
    pub async fn start(
        mut resolved: Resolved,
        files: ServerFiles,
        key: Option<ApiKey>,
    ) -> anyhow::Result<Self> {
        let settings = &mut resolved.settings;
        settings.host = IpAddr::V4(Ipv4Addr::LOCALHOST);
        settings.port = 0;
        settings.socket = None;
        let running = Running::start(&resolved, files, key).await?;
        let shutdown = Shutdown {
            drain: CancellationToken::new(),
            now: CancellationToken::new(),
            grace: Duration::ZERO,
        };
        let now = shutdown.now.clone();
        Ok(Self {
            addr: running.addr()?,
            app: Arc::clone(&running.app),
            task: tokio::spawn(running.server.run(running.app, shutdown)),
            end: now.drop_guard(),
        })
    }

    /// Ends it, and whatever it still runs.
    pub async fn close(self) -> anyhow::Result<()> {
        drop(self.end);
        self.task.await.context("the server failed")
    }
}
