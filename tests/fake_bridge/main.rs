//! A bridge that misbehaves on request: the model's id chooses how.
//!
//! It has the surface of Cursor's SDK bridge (`sdk.v1`: Connect with JSON over loopback HTTP, a ready
//! line on stderr, a file with its token, callbacks for custom tools), no account and no model. That
//! the surface is the real one is held by `scripts/e2e-bridge`, where the official Python client runs
//! agents against it. [`play::SCENARIOS`] is the table of what it can do.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

mod play;
mod scripted;
// What only the CLI does is not read.
#[allow(dead_code)]
#[path = "../fake_agent/mcp/scripts.rs"]
mod scripts;
mod server;

use std::{collections::HashMap, env, fs, sync::Arc};

use serde_json::json;

use server::{Bridge, Endpoint};

/// Flags with a value, all of which the real one has.
const FLAGS: &[&str] = &[
    "--host",
    "--port",
    "--workspace",
    "--state-root",
    "--tool-callback-url",
    "--tool-callback-auth-token",
    "--local-store",
    "--max-concurrent-agents",
    "--max-message-bytes",
];

fn main() {
    let mut flags = HashMap::new();
    let mut args = env::args().skip(1);
    while let Some(flag) = args.next() {
        assert!(FLAGS.contains(&flag.as_str()), "Unknown argument: {flag}");
        flags.insert(flag, args.next().expect("a value"));
    }
    let callback = flags.get("--tool-callback-url").map(|url| Endpoint {
        url: url.clone(),
        token: flags["--tool-callback-auth-token"].clone(),
    });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let token = format!("token-{}", std::process::id());
        let file = env::temp_dir().join(format!("fake-bridge-token-{}", std::process::id()));
        fs::write(&file, &token).unwrap();
        let environment: Vec<String> = env::vars().map(|(name, _)| name).collect();
        let bridge = Arc::new(Bridge::new(token, callback, environment));
        let ready = json!({
            "schemaVersion": 1, "serverVersion": "0.0.0-fake", "pid": std::process::id(),
            "transport": "tcp", "protocol": "connect", "host": "127.0.0.1", "port": address.port(),
            "url": format!("http://{address}"), "authTokenFile": file,
            "workspaceRef": flags.get("--workspace"), "stateRoot": flags.get("--state-root"),
        });
        eprintln!("a line of something else");
        eprintln!("cursor-sdk-bridge ready {ready}");
        server::serve(listener, bridge).await;
    });
}
