//! MCP servers behind HTTP that misbehave: what one sends or keeps back harms nobody.

use std::time::Duration;

use open_cursor::hands::mcp::{McpLimits, McpServerConfig, McpTransport};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::mcp_servers::{LIMITS, config, servers};

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";

/// Answers every request with that, piece by piece without an end, and then keeps the connection open.
async fn server(name: &str, head: String, piece: Vec<u8>, pieces: usize) -> McpServerConfig {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (head, piece) = (head.clone(), piece.clone());
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await?;
                stream.write_all(head.as_bytes()).await?;
                for _ in 0..pieces {
                    stream.write_all(&piece).await?;
                }
                tokio::time::sleep(Duration::from_secs(600)).await;
                std::io::Result::Ok(())
            });
        }
    });
    McpServerConfig {
        transport: Ok(McpTransport::Http {
            url,
            headers: Vec::new(),
        }),
        ..config(name, "")
    }
}

fn head(status: &str, kind: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n")
}

#[tokio::test]
async fn floods_silence_and_nonsense_are_errors() {
    let ok = |kind| head("200 OK", kind);
    let initialized = json!({"jsonrpc": "2.0", "id": 0, "result": {
        "protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
        "serverInfo": {"name": "n", "version": "1"}, "instructions": "x".repeat(50 << 20),
    }});
    let initialized = initialized.to_string().into_bytes();
    let event = [b"data: " as &[u8], &initialized, b"\n\n"].concat();
    let small = b"data: {\"no\": \"message\"}\n\n".repeat(1 << 12);
    let configs = vec![
        server("json", ok(JSON), initialized, 1).await,
        server("event", ok(EVENTS), event, 1).await,
        server("events", ok(EVENTS), small, usize::MAX).await,
        server("silent", String::new(), Vec::new(), 0).await,
        server("half", ok(JSON), b"{".to_vec(), 1).await,
        server("page", ok("text/html"), b"<!doctype html>".to_vec(), 1).await,
        server(
            "broken",
            head("500 Internal Server Error", JSON),
            Vec::new(),
            0,
        )
        .await,
        server(
            "no-http",
            "SSH-2.0-OpenSSH_9.2\r\n".to_owned(),
            Vec::new(),
            0,
        )
        .await,
    ];
    let count = configs.len();
    let limits = McpLimits {
        start: Duration::from_secs(5),
        ..LIMITS
    };
    let servers = servers(configs, limits);
    // In their time, all at once.
    let tools = tokio::time::timeout(Duration::from_secs(60), servers.tools()).await;
    assert_eq!(tools.unwrap().len(), 0);
    let health = servers.health();
    let failed = health.iter().filter(|one| one.state == "failed");
    assert_eq!(failed.count(), count, "{health:?}");
    for (name, expected) in [
        ("json", "length limit exceeded"),
        ("broken", "it answers 500"),
        ("silent", "not ready within 5 s"),
    ] {
        let one = health.iter().find(|one| one.name == name).unwrap();
        let error = one.error.clone().unwrap();
        assert!(error.contains(expected), "{name}: {error}");
        assert!(error.len() < 1000, "{name}: {} bytes", error.len());
    }
    servers.close().await;
}
