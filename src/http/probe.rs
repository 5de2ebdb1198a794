//! Finds out whether an open-cursor listens on an address.

use std::{fmt, net::SocketAddr, time::Duration};

use http_body_util::{BodyExt as _, Limited};
use serde::Deserialize;
use tokio::time::timeout;

use super::client;

/// A running open-cursor, by its `GET /health`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RunningServer {
    name: String,
    /// `ok`, or `stopping`.
    pub status: String,
    /// Its version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Where its agent works, if that is one place. Shown only to clients with the key.
    pub workspace: Option<String>,
    /// The agent that it runs. Shown only to clients with the key.
    pub agent: Option<String>,
    /// A digest of its settings. Shown only to clients with the key.
    #[serde(default)]
    pub settings: String,
}

impl fmt::Display for RunningServer {
    /// `open-cursor 1.2.3 (pid 42)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} (pid {})", self.name, self.version, self.pid)
    }
}

/// The open-cursor that answers within a second, if it is one.
pub async fn identify(addr: SocketAddr) -> Option<RunningServer> {
    let server = timeout(Duration::from_secs(1), health(addr)).await.ok()??;
    (server.name == env!("CARGO_PKG_NAME")).then_some(server)
}

async fn health(addr: SocketAddr) -> Option<RunningServer> {
    let response = client::send(addr, "/health", None).await.ok()?;
    let body = Limited::new(response.into_body(), 64 * 1024);
    let body = body.collect().await.ok()?.to_bytes();
    serde_json::from_slice(&body).ok()
}
