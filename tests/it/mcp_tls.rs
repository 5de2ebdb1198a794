//! An MCP server behind TLS, with an authority of its own: `fixtures/tls`.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use open_cursor::{
    mcp::{Endpoint, Event, WaitLimits},
    turn::{ToolResult, ToolSpec},
};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
};

use crate::support::{Ended, Home};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/tls")
        .join(name)
}

fn acceptor() -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_file(fixture("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(fixture("server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Takes TLS off each connection and passes it on.
async fn in_front_of(server: SocketAddr) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = acceptor();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await?;
                let mut server = TcpStream::connect(server).await?;
                tokio::io::copy_bidirectional(&mut stream, &mut server).await
            });
        }
    });
    port
}

/// A home with one MCP server, at this address.
fn home(url: &str, bearer: &str) -> Home {
    let home = Home::new();
    let file = home.path().join(".config/open-cursor/mcp.json");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let entry = json!({"url": url, "headers": {"Authorization": bearer}});
    std::fs::write(&file, json!({"mcpServers": {"web": entry}}).to_string()).unwrap();
    home
}

async fn mcp(home: Home, args: &[&str]) -> Ended {
    let args: Vec<String> = ["mcp"]
        .iter()
        .chain(args)
        .map(ToString::to_string)
        .collect();
    let run = move || {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        home.run(&[&args[..], &["--mcp-from", "own"]].concat())
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_where_it_is_named() {
    let endpoint = Endpoint::bind(WaitLimits::default()).await.unwrap();
    let mut offer = endpoint.offer(&[ToolSpec {
        name: "deploy".to_owned(),
        description: "Deploys".to_owned(),
        schema: json!({"type": "object", "properties": {"to": {"type": "string"}}}).into(),
    }]);
    let server = offer.config()["mcpServers"][offer.server_name()].clone();
    let plain: hyper::Uri = server["url"].as_str().unwrap().parse().unwrap();
    let address = plain.authority().unwrap().as_str().parse().unwrap();
    let port = in_front_of(address).await;
    let at = |host: &str| format!("https://{host}:{port}{}", plain.path());
    let bearer = server["headers"]["Authorization"]
        .as_str()
        .unwrap()
        .to_owned();
    let trusting = |url: &str| home(url, &bearer).env("SSL_CERT_FILE", fixture("ca.pem"));

    let answering = tokio::spawn(async move {
        while let Some(event) = offer.next().await {
            if let Event::Called(call) = event {
                let result = ToolResult {
                    call_id: String::new(),
                    name: None,
                    content: format!("deployed to {}", call.arguments["to"]),
                    is_error: false,
                };
                offer.reply(call.key, &result, &[]);
            }
        }
    });
    let call = ["call", "web", "deploy", r#"{"to": "moon"}"#];
    let said = mcp(trusting(&at("localhost")), &call).await;
    assert_eq!(
        (said.code, said.stdout.as_str()),
        (0, "deployed to \"moon\"\n"),
        "{}",
        said.stderr
    );

    // By nobody else, and under no other name.
    let unknown = mcp(home(&at("localhost"), &bearer), &call).await;
    assert_eq!(unknown.code, 1);
    for words in [
        "TLS with localhost failed",
        "UnknownIssuer",
        "SSL_CERT_FILE",
    ] {
        assert!(unknown.stderr.contains(words), "{}", unknown.stderr);
    }
    let other_name = mcp(trusting(&at("127.0.0.1")), &call).await;
    assert!(
        other_name.stderr.contains("TLS with 127.0.0.1 failed"),
        "{}",
        other_name.stderr
    );
    let no_tls = format!("https://localhost:{}/", address.port());
    let no_tls = mcp(trusting(&no_tls), &call).await;
    assert!(
        no_tls.stderr.contains("TLS with localhost failed"),
        "{}",
        no_tls.stderr
    );
    let no_file = home(&at("localhost"), &bearer).env("SSL_CERT_FILE", "/nonexistent");
    let no_file = mcp(no_file, &call).await;
    let reason = "no certificate authority can be read";
    assert!(no_file.stderr.contains(reason), "{}", no_file.stderr);
    answering.abort();
}
