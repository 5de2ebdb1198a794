//! A connection, by a proxy if there is one, up to the end of the TLS handshake.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{self, CertificateError, ClientConfig, crypto::ring, pki_types::ServerName},
};

use super::{Host, proxy::Proxy, trust::Trust};

/// For each step; there are four.
const PATIENCE: Duration = Duration::from_secs(3);

/// The longest head of a proxy's answer that is read.
const MAX_HEAD: usize = 16 << 10;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreachable {
    #[error("the name {name} is not found: {reason}")]
    Name { name: String, reason: io::Error },
    #[error("{host} takes no connection: {reason}")]
    Connection { host: Host, reason: io::Error },
    #[error("it refuses: {line}")]
    Refused { status: u16, line: String },
    #[error("the proxy does not answer like one: {0}")]
    NoProxy(String),
    #[error("the certificate that is shown for it is not trusted: {reason}")]
    Untrusted { reason: String, clock: bool },
    #[error("no TLS: {0}")]
    Handshake(io::Error),
    #[error("{0} within {seconds} s", seconds = PATIENCE.as_secs())]
    Silent(String),
}

/// Connects and lets go.
pub(super) async fn reach(
    host: &Host,
    proxy: Option<&Proxy>,
    trust: &Trust,
) -> Result<(), Unreachable> {
    let mut stream = dial(proxy.map_or(host, |proxy| &proxy.host)).await?;
    if let Some(proxy) = proxy {
        let silent = || Unreachable::Silent("no answer of the proxy".to_owned());
        let opened = timeout(PATIENCE, tunnel(&mut stream, host, proxy)).await;
        opened.map_err(|_| silent())??;
    }
    let name = ServerName::try_from(host.name.clone())
        .map_err(|error| Unreachable::Handshake(io::Error::other(error)))?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Unreachable::Handshake(io::Error::other(error)))?
        .with_root_certificates(Arc::clone(&trust.roots))
        .with_no_client_auth();
    let handshake = TlsConnector::from(Arc::new(config)).connect(name, stream);
    match timeout(PATIENCE, handshake).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(no_tls(error)),
        Err(_) => Err(Unreachable::Silent("no TLS handshake".to_owned())),
    }
}

async fn dial(host: &Host) -> Result<TcpStream, Unreachable> {
    let lookup = lookup_host((host.name.as_str(), host.port));
    let addresses: Vec<_> = match timeout(PATIENCE, lookup).await {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(reason)) => {
            let name = host.name.clone();
            return Err(Unreachable::Name { name, reason });
        }
        Err(_) => {
            return Err(Unreachable::Silent(
                "no answer of the name server".to_owned(),
            ));
        }
    };
    match timeout(PATIENCE, TcpStream::connect(&addresses[..])).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(reason)) => {
            let host = host.clone();
            Err(Unreachable::Connection { host, reason })
        }
        Err(_) => Err(Unreachable::Silent(format!("no connection to {host}"))),
    }
}

/// Asks the proxy for a connection to the host.
async fn tunnel(stream: &mut TcpStream, host: &Host, proxy: &Proxy) -> Result<(), Unreachable> {
    let broken = |error: io::Error| Unreachable::NoProxy(error.to_string());
    let mut request = format!("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n");
    if let Some(value) = &proxy.authorization {
        request.push_str(&format!("Proxy-Authorization: {value}\r\n"));
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await.map_err(broken)?;
    let mut head = Vec::new();
    // By the byte: what follows the head is TLS.
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == MAX_HEAD {
            return Err(Unreachable::NoProxy("its answer has no end".to_owned()));
        }
        head.push(stream.read_u8().await.map_err(broken)?);
    }
    let head = String::from_utf8_lossy(&head);
    let line = head.lines().next().unwrap_or_default();
    let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5));
    match status.and_then(|status| status.parse().ok()) {
        Some(200..=299) => Ok(()),
        Some(status) => Err(Unreachable::Refused {
            status,
            line: line.get(9..).unwrap_or_default().to_owned(),
        }),
        None => Err(Unreachable::NoProxy(format!("`{line:.60}`"))),
    }
}

fn no_tls(error: io::Error) -> Unreachable {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    let Some(rustls::Error::InvalidCertificate(certificate)) = inner else {
        return Unreachable::Handshake(error);
    };
    let (reason, clock) = match certificate {
        CertificateError::UnknownIssuer => ("its issuer is not known".to_owned(), false),
        CertificateError::BadSignature => {
            ("it is not signed by the CA that it names".to_owned(), false)
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            ("it has expired".to_owned(), true)
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            ("it is not valid yet".to_owned(), true)
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            ("it is made for another host".to_owned(), false)
        }
        other => (other.to_string(), false),
    };
    Unreachable::Untrusted { reason, clock }
}
