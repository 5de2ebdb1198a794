//! A minimal client for servers of our own, on this machine.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request, Response, body::Incoming, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there.
    #[error("cannot connect: {0}")]
    Connect(#[from] std::io::Error),
    /// The request could not be built.
    #[error("bad request: {0}")]
    Request(#[from] hyper::http::Error),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(#[from] hyper::Error),
}

/// Sends one request on a connection of its own; a body makes it a POST of JSON.
///
/// # Errors
/// [`ClientError`]; an answer with an error status is an answer.
pub async fn send(
    addr: SocketAddr,
    path: &str,
    body: Option<String>,
) -> Result<Response<Incoming>, ClientError> {
    let stream = TcpStream::connect(addr).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Ends when the response has been read or dropped.
    tokio::spawn(connection);
    let request = Request::builder()
        .uri(path)
        .header(header::HOST, addr.to_string())
        .header(header::CONTENT_TYPE, "application/json");
    let request = match body {
        Some(body) => request
            .method(Method::POST)
            .body(Full::new(Bytes::from(body)))?,
        None => request.body(Full::default())?,
    };
    Ok(sender.send_request(request).await?)
}
