//! TLS to an MCP server: who is trusted, and the handshake.
//!
//! Trusted are the machine's authorities, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`. A machine
//! that has none, as a small container, gets Mozilla's, which are part of the program.

use std::{
    io,
    sync::{Arc, OnceLock},
};

use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        CertificateError, ClientConfig, Error as TlsError, RootCertStore, crypto::ring,
        pki_types::ServerName,
    },
};

/// Made once: it is read from some hundred files. A failure is not kept, as a file may be put right.
static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();

/// Speaks TLS on a connection to that host.
///
/// # Errors
/// Why not, in words.
pub(super) async fn secure(host: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    let config = match CONFIG.get() {
        Some(config) => Arc::clone(config),
        None => {
            let made = tokio::task::spawn_blocking(config).await??;
            Arc::clone(CONFIG.get_or_init(|| made))
        }
    };
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let connected = TlsConnector::from(config).connect(name, stream).await;
    connected.map_err(|error| {
        let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
        let unknown = TlsError::InvalidCertificate(CertificateError::UnknownIssuer);
        let hint = match cause == Some(&unknown) {
            true => "; SSL_CERT_FILE names a file with an authority of your own",
            false => "",
        };
        io::Error::other(format!("TLS with {host} failed: {error}{hint}"))
    })
}

fn config() -> io::Result<Arc<ClientConfig>> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    match found.errors.into_iter().next() {
        Some(error) if added == 0 => {
            return Err(io::Error::other(format!(
                "no certificate authority can be read: {error}"
            )));
        }
        None if added == 0 => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        _ => {}
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    let config = config.with_root_certificates(roots).with_no_client_auth();
    Ok(Arc::new(config))
}
