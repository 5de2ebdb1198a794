//! Connect with JSON over loopback HTTP/1.1: a request and its reply, or a request and a stream.
//!
//! Knows neither the bridge's services nor what a message means. Shapes: connectrpc.com's protocol
//! reference; a stream is a sequence of frames, each a flag byte, a big-endian length of four bytes
//! and a JSON message, the last one flagged as the end and holding `{}` or `{"error": …}`.

use std::{net::SocketAddr, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    client::conn::http1,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue},
};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{net::TcpStream, time::timeout};

use super::frames::{ConnectFrames, Frame};

/// The longest reply or frame that is read, in bytes.
pub(super) const LONGEST: usize = 64 << 20;

/// How much of a reply that is not Connect is shown, in characters.
const SHOWN: usize = 200;

/// A request that has no reply.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum RpcError {
    /// The bridge answered with an error of its own.
    #[error("{0}")]
    Refused(Refusal),
    /// No connection, or one that broke off.
    #[error("the bridge cannot be reached: {0}")]
    Unreachable(String),
    /// The reply has another shape than the protocol's.
    #[error("the bridge answered something that is not Connect: {0}")]
    Malformed(String),
    /// There was no reply in time.
    #[error("the bridge did not answer {method} within {} s", limit.as_secs_f32())]
    Slow {
        /// The method.
        method: &'static str,
        /// How long we waited.
        limit: Duration,
    },
}

/// A Connect error.
#[derive(Debug, Clone, Default, Deserialize, thiserror::Error)]
#[error("{message}")]
#[serde(default)]
pub(super) struct Refusal {
    /// The Connect code, such as `unauthenticated`.
    pub code: String,
    /// What happened, for people.
    pub message: String,
    /// Typed details; their readable form is in `debug`.
    pub details: Vec<serde_json::Value>,
}

/// Where to send requests, and the token that goes with them.
#[derive(Debug, Clone)]
pub(super) struct ConnectClient {
    address: SocketAddr,
    bearer: HeaderValue,
}

impl ConnectClient {
    /// A client of the bridge at a loopback address. `None` if the token cannot stand in a header.
    pub fn new(address: SocketAddr, token: &str) -> Option<Self> {
        let mut bearer = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
        bearer.set_sensitive(true);
        Some(Self { address, bearer })
    }

    /// Sends a request and reads its reply. `method` is `Service/Method` without the package.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn unary<R: DeserializeOwned>(
        &self,
        method: &'static str,
        request: &impl Serialize,
        limit: Duration,
    ) -> Result<R, RpcError> {
        let answer = async {
            let body = encode(request)?.into();
            let body = self.post(method, "application/json", body).await?;
            decode(&read(body).await?)
        };
        let answered = timeout(limit, answer).await;
        answered.unwrap_or(Err(RpcError::Slow { method, limit }))
    }

    /// Sends a request that is answered by a stream. Dropping the stream closes its connection.
    ///
    /// # Errors
    /// [`RpcError`], once the head of the response is there.
    pub async fn stream(
        &self,
        method: &'static str,
        request: &impl Serialize,
    ) -> Result<ConnectStream, RpcError> {
        let message = encode(request)?;
        let mut body = BytesMut::with_capacity(message.len() + 5);
        body.put_u8(0);
        body.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
        body.extend_from_slice(&message);
        let content_type = "application/connect+json";
        Ok(ConnectStream {
            body: self.post(method, content_type, body.freeze()).await?,
            frames: ConnectFrames::default(),
        })
    }

    /// The body of a successful response.
    async fn post(
        &self,
        method: &str,
        content_type: &'static str,
        body: Bytes,
    ) -> Result<Incoming, RpcError> {
        let response = self.send(method, content_type, body).await;
        let response = response.map_err(|error| RpcError::Unreachable(error.to_string()))?;
        match response.status() {
            StatusCode::OK => Ok(response.into_body()),
            status => Err(refusal(status, &read(response.into_body()).await?)),
        }
    }

    async fn send(
        &self,
        method: &str,
        content_type: &'static str,
        body: Bytes,
    ) -> anyhow::Result<Response<Incoming>> {
        let request = Request::post(format!("/sdk.v1.{method}"))
            .header(HOST, self.address.to_string())
            .header(AUTHORIZATION, self.bearer.clone())
            .header(CONTENT_TYPE, content_type)
            .header(ACCEPT, content_type)
            .header("connect-protocol-version", "1")
            .body(Full::new(body))?;
        // A connection each: they cost nothing on this machine, and none can be stale.
        let stream = TcpStream::connect(self.address).await?;
        let _ = stream.set_nodelay(true);
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // It ends when the response was read or dropped.
        tokio::spawn(connection);
        Ok(sender.send_request(request).await?)
    }
}

/// The messages of a stream.
#[derive(Debug)]
pub(super) struct ConnectStream {
    body: Incoming,
    frames: ConnectFrames,
}

impl ConnectStream {
    /// The next message; `None` after a frame that ends the stream without an error.
    ///
    /// # Errors
    /// The error of the last frame, or [`RpcError::Unreachable`] if there is no last frame.
    pub async fn next(&mut self) -> Result<Option<Bytes>, RpcError> {
        loop {
            match self.frames.next()? {
                Some(Frame::Message(message)) => return Ok(Some(message)),
                Some(Frame::End(message)) => return end(&message).map(|()| None),
                None => {}
            }
            let chunk = self.body.frame().await;
            let chunk = chunk.unwrap_or_else(|| Ok(hyper::body::Frame::data(Bytes::new())));
            let chunk = chunk.map_err(|error| RpcError::Unreachable(error.to_string()))?;
            match chunk.into_data() {
                Ok(data) if data.is_empty() => {
                    let cut = "it closed the stream before its end".to_owned();
                    return Err(RpcError::Unreachable(cut));
                }
                Ok(data) => self.frames.push(&data),
                // Trailers say nothing in this protocol.
                Err(_) => {}
            }
        }
    }
}

/// The last frame's message.
#[derive(Deserialize)]
struct End {
    error: Option<Refusal>,
}

fn end(message: &[u8]) -> Result<(), RpcError> {
    if message.is_empty() {
        return Ok(());
    }
    match decode::<End>(message)?.error {
        Some(error) => Err(RpcError::Refused(error)),
        None => Ok(()),
    }
}

fn encode(request: &impl Serialize) -> Result<Vec<u8>, RpcError> {
    serde_json::to_vec(request).map_err(|error| RpcError::Malformed(error.to_string()))
}

fn decode<R: DeserializeOwned>(json: &[u8]) -> Result<R, RpcError> {
    serde_json::from_slice(json).map_err(|error| RpcError::Malformed(error.to_string()))
}

async fn read(body: Incoming) -> Result<Bytes, RpcError> {
    let body = Limited::new(body, LONGEST).collect().await;
    body.map(http_body_util::Collected::to_bytes)
        .map_err(|error| RpcError::Unreachable(error.to_string()))
}

/// An error response: `{code, message, details}`, some servers put it in `error`.
fn refusal(status: StatusCode, body: &[u8]) -> RpcError {
    let parsed = serde_json::from_slice::<serde_json::Value>(body).ok();
    let refusal = parsed.and_then(|body| {
        let error = body.get("error").unwrap_or(&body);
        Refusal::deserialize(error).ok()
    });
    match refusal {
        Some(refusal) if !refusal.code.is_empty() || !refusal.message.is_empty() => {
            RpcError::Refused(refusal)
        }
        _ => {
            let body = String::from_utf8_lossy(body);
            let shown: String = body.trim().chars().take(SHOWN).collect();
            RpcError::Malformed(format!("HTTP {status}: {shown}"))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_end_may_carry_an_error() {
        assert!(end(b"").is_ok() && end(b"{}").is_ok());
        let error = end(br#"{"error":{"code":"unavailable","message":"gone"}}"#).unwrap_err();
        assert!(matches!(error, RpcError::Refused(refusal) if refusal.code == "unavailable"));
        assert!(matches!(end(b"no json"), Err(RpcError::Malformed(_))));
    }

    #[test]
    fn error_bodies() {
        let code = |body: &str| match refusal(StatusCode::NOT_FOUND, body.as_bytes()) {
            RpcError::Refused(refusal) => refusal.code,
            error => error.to_string(),
        };
        assert_eq!(code(r#"{"code":"not_found","message":"m"}"#), "not_found");
        assert_eq!(code(r#"{"error":{"code":"internal"}}"#), "internal");
        assert_eq!(
            code("<html>"),
            "the bridge answered something that is not Connect: HTTP 404 Not Found: <html>"
        );
    }
}
