//! One HTTP request of an agent: who may ask, what is read, how it is answered.

use std::{net::IpAddr, sync::Arc};

use http_body_util::{BodyExt as _, Limited, StreamBody};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Frame, Incoming},
    header::{self, HeaderMap, HeaderValue},
    http::uri::Authority,
};
use serde_json::Value;
use tokio::time::timeout;

use super::{
    WaitLimits,
    endpoint::Offers,
    listener::{Body, respond},
    offer::OfferSession,
    rpc::{self, RpcReply},
    stream,
};

/// Where the endpoint is served.
pub(super) const PATH: &str = "/mcp";

/// The largest body that is read. A call may carry a whole file.
const LARGEST_BODY: usize = 32 * 1024 * 1024;

/// The most messages of one body.
const LARGEST_BATCH: usize = 256;

/// Answers a request.
pub(super) async fn handle(
    request: Request<Incoming>,
    offers: Arc<Offers>,
    limits: WaitLimits,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    if !is_local(&head.headers) {
        let why = "Host and Origin must be this machine's";
        return refuse(StatusCode::FORBIDDEN, why);
    }
    // Not 401: an MCP client would take that for an invitation to log in by OAuth.
    let session = bearer(&head.headers).and_then(|bearer| offers.find(bearer));
    let Some(session) = session.filter(|_| head.uri.path() == PATH) else {
        return refuse(StatusCode::NOT_FOUND, "not found");
    };
    if head.method != Method::POST {
        // No stream beside those that answer a POST, and no session to delete.
        let mut response = refuse(StatusCode::METHOD_NOT_ALLOWED, "use POST");
        let post = HeaderValue::from_static("POST");
        response.headers_mut().insert(header::ALLOW, post);
        return response;
    }
    let body = Limited::new(body, LARGEST_BODY).collect();
    match timeout(limits.request, body).await {
        Ok(Ok(body)) => answer(&body.to_bytes(), &session, &head.headers, limits).await,
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => refuse(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the body is larger than 32 MiB",
        ),
        Ok(Err(_)) => refuse(StatusCode::BAD_REQUEST, "the body broke off"),
        Err(_) => refuse(StatusCode::REQUEST_TIMEOUT, "the body took too long"),
    }
}

async fn answer(
    body: &[u8],
    session: &Arc<OfferSession>,
    headers: &HeaderMap,
    limits: WaitLimits,
) -> Response<Body> {
    let message: Value = match serde_json::from_slice(body) {
        Ok(message) => message,
        Err(error) => return json(StatusCode::BAD_REQUEST, &rpc::not_json(&error)),
    };
    let is_batch = message.is_array();
    let messages = match message {
        Value::Array(messages) if messages.len() > LARGEST_BATCH => {
            return refuse(StatusCode::BAD_REQUEST, "a batch may hold 256 messages");
        }
        Value::Array(messages) => messages,
        message => vec![message],
    };
    let (mut now, mut held) = (Vec::new(), Vec::new());
    for message in messages {
        match rpc::handle(message, session) {
            RpcReply::Nothing => {}
            RpcReply::Now(message) => now.push(message),
            RpcReply::Held(request) => held.push(request),
        }
    }
    if now.is_empty() && held.is_empty() {
        return respond(StatusCode::ACCEPTED, None, "");
    }
    if !held.is_empty() && accepts_events(headers) {
        let frames = stream::events(now, held, limits);
        let frames = futures::StreamExt::map(frames, |bytes| bytes.map(Frame::data));
        let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
        let headers = response.headers_mut();
        let events = HeaderValue::from_static("text/event-stream");
        headers.insert(header::CONTENT_TYPE, events);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        return response;
    }
    let mut messages = stream::all(now, held, limits).await;
    match messages.pop() {
        Some(message) if !is_batch => json(StatusCode::OK, &message),
        Some(last) => {
            messages.push(last);
            json(StatusCode::OK, &messages.into())
        }
        // The only request was cancelled.
        None => respond(StatusCode::ACCEPTED, None, ""),
    }
}

/// Whether the answer may be an event stream. Clients must accept both; some send no header.
fn accepts_events(headers: &HeaderMap) -> bool {
    let mut accept = headers.get_all(header::ACCEPT).iter().peekable();
    accept.peek().is_none()
        || accept
            .filter_map(|value| value.to_str().ok())
            .any(|value| value.contains("text/event-stream") || value.contains("*/*"))
}

/// Whether `Host`, and `Origin` where there is one, name this machine: no web page may get here,
/// not even one whose name resolves to 127.0.0.1.
fn is_local(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST);
    let origin = headers.get(header::ORIGIN);
    host.is_none_or(|host| host.to_str().is_ok_and(is_loopback))
        && origin.is_none_or(|origin| {
            let origin = origin.to_str().ok().and_then(|it| it.split_once("://"));
            origin.is_some_and(|(_, authority)| is_loopback(authority))
        })
}

fn is_loopback(authority: &str) -> bool {
    let Ok(authority) = authority.parse::<Authority>() else {
        return false;
    };
    let host = authority.host();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    match address.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked("Bearer ".len())?;
    scheme
        .eq_ignore_ascii_case(b"Bearer ")
        .then(|| token.trim_ascii())
}

fn json(status: StatusCode, value: &Value) -> Response<Body> {
    respond(status, Some("application/json"), value.to_string())
}

fn refuse(status: StatusCode, why: &'static str) -> Response<Body> {
    respond(status, Some("text/plain"), why)
}
