//! The line by which a bridge says that it is ready and where it listens.
//!
//! It is one line on stderr, whose shape is that of the package's own client: a prefix and a JSON
//! object. The line names the file with the token, so it is never logged.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use serde::Deserialize;
use tokio::sync::oneshot;

use super::connect::ConnectClient;
use crate::sandbox::{
    process::{Frames, StderrTap},
    redact::redact,
};

pub const PREFIX: &str = "cursor-sdk-bridge ready ";

/// The longest line of its stderr that is read, in bytes.
const LINE: usize = 64 << 10;

/// The longest token, in bytes.
const TOKEN: u64 = 4096;

/// The line's object.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReadyLine {
    schema_version: u64,
    transport: String,
    protocol: String,
    host: String,
    port: u16,
    auth_token_file: PathBuf,
    #[serde(default)]
    pid: Option<u32>,
}

/// Reads stderr line by line: the line that says where the bridge listens, the others for the log.
pub fn tap() -> (StderrTap, oneshot::Receiver<String>) {
    let (sender, receiver) = oneshot::channel();
    let mut sender = Some(sender);
    let mut frames = Frames::with_limit(LINE);
    let tap = move |chunk: &[u8]| {
        frames.space().extend_from_slice(chunk);
        while let Some(line) = frames.next_line() {
            let line = String::from_utf8_lossy(line);
            match line.strip_prefix(PREFIX) {
                Some(json) => {
                    if let Some(sender) = sender.take() {
                        let _ = sender.send(json.to_owned());
                    }
                }
                None => tracing::debug!(line = %redact(&line), "the bridge says"),
            }
        }
    };
    (Box::new(tap), receiver)
}

/// Where the bridge listens, from what follows the prefix.
pub async fn endpoint(line: &str) -> Result<(ConnectClient, Option<u32>), String> {
    let ready: ReadyLine = serde_json::from_str(line)
        .map_err(|error| format!("the bridge's ready line cannot be read: {error}"))?;
    if (ready.schema_version, &*ready.transport, &*ready.protocol) != (1, "tcp", "connect") {
        return Err(format!(
            "the bridge offers {} over {} in schema {}, open-cursor needs connect over tcp in schema 1",
            ready.protocol, ready.transport, ready.schema_version
        ));
    }
    let address = match ready.host.as_str() {
        "localhost" => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        host => host.parse().ok().filter(IpAddr::is_loopback),
    };
    let Some(address) = address else {
        return Err(format!(
            "the bridge listens on {}, which is not this machine alone",
            ready.host
        ));
    };
    let token = read_token(&ready.auth_token_file).await;
    let token = token.map_err(|error| format!("the bridge's token cannot be read: {error}"))?;
    let client = ConnectClient::new(SocketAddr::new(address, ready.port), token.trim());
    Ok((
        client.ok_or("the bridge's token cannot be sent")?,
        ready.pid,
    ))
}

async fn read_token(path: &Path) -> std::io::Result<String> {
    use tokio::io::AsyncReadExt;

    let mut token = String::new();
    let file = tokio::fs::File::open(path).await?;
    file.take(TOKEN).read_to_string(&mut token).await?;
    if token.trim().is_empty() {
        return Err(std::io::Error::other("it is empty"));
    }
    Ok(token)
}
