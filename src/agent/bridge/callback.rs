//! The listener that the bridge calls the client's tools on.
//!
//! `POST /sdk.v1.SdkCustomToolCallbackService/CallCustomTool`, a Connect unary call with JSON. The
//! head of the answer goes out at once and a space every few seconds, which JSON permits before a
//! value: whatever timer watches the connection sees that it lives.
//!
//! Anybody on this machine can connect, and a web page can try to: a request needs the token, our
//! own address in `Host`, and no `Origin`.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{Stream, stream};
use http_body_util::{BodyExt, Limited, StreamBody};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::{Frame, Incoming},
    header::{AUTHORIZATION, HOST, ORIGIN},
};
use serde_json::json;
use subtle::ConstantTimeEq;
use tokio::{net::TcpListener, time::timeout};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use super::calls::{self, BridgeCalls, CallError, HeldReply};
use crate::mcp::listener::{Body, ListenerLimits, respond, serve};

const PATH: &str = "/sdk.v1.SdkCustomToolCallbackService/CallCustomTool";

/// The longest request, in bytes.
const LONGEST: usize = 16 << 20;

/// How often a held call shows that it lives.
const BEAT: Duration = Duration::from_secs(10);

const LIMITS: ListenerLimits = ListenerLimits {
    connections: 1024,
    request: Duration::from_secs(10),
};

/// A running listener. Dropping it closes it and its connections.
#[derive(Debug)]
pub(super) struct Callback {
    address: SocketAddr,
    token: Arc<str>,
    _stop: DropGuard,
}

impl Callback {
    /// Listens on a free loopback port. Its tasks run on the tracker.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn listen(calls: BridgeCalls, tracker: &TaskTracker) -> io::Result<Self> {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let token: Arc<str> = token()?.into();
        let stop = CancellationToken::new();
        let gate = Arc::new(Gate {
            host: address.to_string(),
            token: Arc::clone(&token),
            calls,
        });
        let answer = move |request| Arc::clone(&gate).answer(request);
        let whose = "the listener for the bridge";
        tracker.spawn(serve(whose, listener, LIMITS, stop.clone(), answer));
        Ok(Self {
            address,
            token,
            _stop: stop.drop_guard(),
        })
    }

    /// The base address for `SetToolCallback`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What the bridge must send as its bearer. Never to be logged.
    pub fn token(&self) -> &str {
        &self.token
    }
}

/// 256 random bits in hexadecimal digits.
fn token() -> io::Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Decides what a request gets.
#[derive(Debug)]
struct Gate {
    host: String,
    token: Arc<str>,
    calls: BridgeCalls,
}

impl Gate {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        const JSON: Option<&str> = Some("application/json");
        match self.held(request).await {
            Ok(held) => {
                let body = StreamBody::new(wait(held)).boxed_unsync();
                respond(StatusCode::OK, JSON, "").map(|_| body)
            }
            Err((status, code, message)) => {
                let body = json!({"code": code, "message": message});
                respond(status, JSON, body.to_string())
            }
        }
    }

    async fn held(&self, request: Request<Incoming>) -> Result<HeldReply, CallbackError> {
        self.admit(request.headers())?;
        if request.uri().path() != PATH {
            return Err(refused(StatusCode::NOT_FOUND, "not_found", "unknown path"));
        }
        if request.method() != Method::POST {
            let status = StatusCode::METHOD_NOT_ALLOWED;
            return Err(refused(status, "unimplemented", "the method must be POST"));
        }
        let version = request.headers().get("connect-protocol-version");
        if version.is_some_and(|version| version != "1") {
            return Err(invalid("Connect-Protocol-Version must be 1"));
        }
        let body = Limited::new(request.into_body(), LONGEST).collect();
        let body = match timeout(LIMITS.request, body).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) => return Err(invalid(format!("the body cannot be read: {error}"))),
            Err(_) => return Err(invalid("the body did not come in time")),
        };
        let call: calls::CallRequest = serde_json::from_slice(&body)
            .map_err(|error| invalid(format!("the body is not a call: {error}")))?;
        self.calls.call(call).map_err(|error| match &error {
            CallError::UnknownAgent(_) => {
                tracing::warn!("the bridge called a tool for an agent that no run has");
                refused(StatusCode::NOT_FOUND, "not_found", error.to_string())
            }
            CallError::TooMany => {
                let status = StatusCode::TOO_MANY_REQUESTS;
                refused(status, "resource_exhausted", error.to_string())
            }
        })
    }

    fn admit(&self, headers: &HeaderMap) -> Result<(), CallbackError> {
        let is_host = headers.get(HOST).is_some_and(|host| host == &self.host[..]);
        if !is_host || headers.contains_key(ORIGIN) {
            let status = StatusCode::FORBIDDEN;
            return Err(refused(
                status,
                "permission_denied",
                "this is for the bridge",
            ));
        }
        let given = headers.get(AUTHORIZATION).map(|value| value.as_bytes());
        let given = given.and_then(|value| value.strip_prefix(b"Bearer "));
        if given.is_some_and(|given| self.token.as_bytes().ct_eq(given).into()) {
            return Ok(());
        }
        let status = StatusCode::UNAUTHORIZED;
        Err(refused(status, "unauthenticated", "the token is wrong"))
    }
}

/// Status, Connect code and message.
type CallbackError = (StatusCode, &'static str, String);

fn refused(status: StatusCode, code: &'static str, message: impl Into<String>) -> CallbackError {
    (status, code, message.into())
}

fn invalid(message: impl Into<String>) -> CallbackError {
    refused(StatusCode::BAD_REQUEST, "invalid_argument", message)
}

/// Spaces until the reply is there, then the reply.
fn wait(reply: HeldReply) -> impl Stream<Item = Result<Frame<Bytes>, Infallible>> {
    stream::unfold(Some(reply), |reply| async {
        let mut reply = reply?;
        let waited = async {
            let answer = reply.body.wait_for(Option::is_some).await;
            answer.ok().and_then(|answer| answer.clone())
        };
        let Ok(answer) = timeout(BEAT, waited).await else {
            let beat = Frame::data(Bytes::from_static(b" "));
            return Some((Ok(beat), Some(reply)));
        };
        let answer = answer.map_or_else(Bytes::new, |answer| Bytes::from(answer.to_string()));
        Some((Ok(Frame::data(answer)), None))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
