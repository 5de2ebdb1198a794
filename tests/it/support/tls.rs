//! Cursor's host as a network shows it: a TLS server with a CA of its own, and an HTTP proxy.

use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use tokio_rustls::rustls::{
    ServerConfig, ServerConnection, crypto::ring, pki_types::PrivateKeyDer,
};

/// Calls itself `name` before whoever connects. Serves until the test process ends.
pub struct Tls {
    pub addr: SocketAddr,
    /// The CA's certificate, which nobody trusts unless told to.
    pub ca: String,
}

impl Tls {
    pub fn start(name: &str) -> Self {
        Self::valid_until(name, 2999)
    }

    pub fn valid_until(name: &str, year: i32) -> Self {
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::new([]).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let unlike_others = format!("CA {:?}", &ca_key.public_key_raw()[1..9]);
        ca.distinguished_name = DistinguishedName::new();
        ca.distinguished_name
            .push(DnType::CommonName, unlike_others);
        let pem = ca.self_signed(&ca_key).unwrap().pem();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 1, 1);
        let issuer = Issuer::new(ca, ca_key);
        let certificate = params.signed_by(&key, &issuer).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            )
            .unwrap();
        let config = Arc::new(config);
        let addr = serve(move |mut stream| {
            let mut connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            // Until the client closes.
            while connection
                .complete_io(&mut stream)
                .is_ok_and(|(read, _)| read > 0)
            {}
        });
        Self { addr, ca: pem }
    }
}

/// What a proxy does with a `CONNECT`.
#[derive(Clone)]
pub enum Manner {
    /// It connects to this address, wherever it is asked to connect to, if it gets this header.
    Forward(SocketAddr, Option<&'static str>),
    /// It answers so.
    Answer(&'static str),
    /// It doesn't answer.
    Silent,
}

/// A proxy for requests to `target`; ends with the test process.
pub fn proxy(target: &'static str, manner: Manner) -> SocketAddr {
    serve(move |mut client| {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if client.read_exact(&mut byte).is_err() {
                return;
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let asked = head.starts_with(&format!("CONNECT {target} HTTP/1.1\r\n"));
        match manner {
            Manner::Forward(addr, header) if asked && header.is_none_or(|it| head.contains(it)) => {
                client
                    .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    .unwrap();
                relay(client, TcpStream::connect(addr).unwrap());
            }
            Manner::Forward(..) => {
                let _ = client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
            }
            Manner::Answer(text) => {
                let _ = client.write_all(text.as_bytes());
            }
            Manner::Silent => {
                let _ = client.read(&mut [0]);
            }
        }
    })
}

fn relay(client: TcpStream, server: TcpStream) {
    let copy = |mut from: TcpStream, mut to: TcpStream| {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    };
    let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    thread::spawn(move || copy(from, to));
    copy(server, client);
}

/// Serves each connection in a thread of its own.
fn serve(connection: impl Fn(TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = connection.clone();
            thread::spawn(move || connection(stream));
        }
    });
    addr
}
