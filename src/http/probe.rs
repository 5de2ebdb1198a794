//! Asks whoever listens on an address whether it is open-cursor.

use std::{net::SocketAddr, time::Duration};

use http_body_util::{BodyExt as _, Limited};
use serde::Deserialize;
use tokio::time::timeout;

use super::client;

/// What `GET /health` says, as far as it identifies the server.
#[derive(Debug, Deserialize)]
struct Health {
    name: String,
    version: String,
    pid: u32,
}

/// "open-cursor 1.2.3 (pid 42)", if that is who answers within a second.
pub async fn identify(addr: SocketAddr) -> Option<String> {
    let health = timeout(Duration::from_secs(1), health(addr)).await.ok()??;
    (health.name == env!("CARGO_PKG_NAME"))
        .then(|| format!("{} {} (pid {})", health.name, health.version, health.pid))
}

async fn health(addr: SocketAddr) -> Option<Health> {
    let response = client::send(addr, "/health", None).await.ok()?;
    let body = Limited::new(response.into_body(), 64 * 1024);
    let body = body.collect().await.ok()?.to_bytes();
    serde_json::from_slice(&body).ok()
}
