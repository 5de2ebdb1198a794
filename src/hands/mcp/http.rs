//! A server behind streamable HTTP: rmcp's transport, over hyper, with TLS where the address asks for
//! it. A connection for each request.

use std::{collections::HashMap, io, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, Uri,
    body::Incoming,
    header::{self, HeaderName, HeaderValue},
};
use hyper_util::rt::TokioIo;
use rmcp::{
    model::ClientJsonRpcMessage,
    transport::streamable_http_client::{
        StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse,
    },
};
use sse_stream::{Error as SseError, Sse, SseStream};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};

use super::{process::LONGEST, tls};

/// How long a connection may take, with TLS.
const CONNECT: Duration = Duration::from_secs(10);

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");
const STREAM: &str = "text/event-stream";
const JSON: &str = "application/json";

type HttpResult<T> = Result<T, StreamableHttpError<io::Error>>;
type Headers = HashMap<HeaderName, HeaderValue>;

/// A connection, with or without TLS.
trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// Makes requests.
#[derive(Debug, Clone, Copy)]
pub(super) struct HttpClient;

/// What is wrong with an address, if anything.
pub(super) fn problem(url: &str) -> Option<String> {
    let Ok(uri) = url.parse::<Uri>() else {
        return Some(format!("`{url}` is no address"));
    };
    match uri.scheme_str() {
        Some("http" | "https") if uri.authority().is_some() => None,
        _ => Some(format!("`{url}` does not begin with https:// or http://")),
    }
}

fn failed(error: impl std::fmt::Display) -> StreamableHttpError<io::Error> {
    StreamableHttpError::Client(io::Error::other(error.to_string()))
}

/// Sends a request and returns the head of its response.
async fn send(
    method: Method,
    uri: &str,
    own: &[(HeaderName, &str)],
    headers: Headers,
    body: String,
) -> HttpResult<Response<Incoming>> {
    let uri: Uri = uri.parse().map_err(failed)?;
    let authority = uri
        .authority()
        .ok_or_else(|| failed("the address has no host"))?;
    let host = authority.host().trim_matches(['[', ']']);
    let is_secure = uri.scheme_str() == Some("https");
    let port = authority.port_u16();
    let port = port.unwrap_or(if is_secure { 443 } else { 80 });
    let connect = async {
        let stream = TcpStream::connect((host, port)).await?;
        let stream: Box<dyn ByteStream> = match is_secure {
            true => Box::new(tls::secure(host, stream).await?),
            false => Box::new(stream),
        };
        io::Result::Ok(stream)
    };
    let connected = timeout(CONNECT, connect).await;
    let stream = connected.map_err(failed)?.map_err(failed)?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::new(Full::new(Bytes::from(body)));
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().map_err(failed)?;
    let all: &mut HeaderMap = request.headers_mut();
    all.extend(headers);
    let host = HeaderValue::from_str(authority.as_str()).map_err(failed)?;
    all.insert(header::HOST, host);
    for (name, value) in own {
        all.insert(name, HeaderValue::from_str(value).map_err(failed)?);
    }
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(failed)?;
    // It ends with the response's body.
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(failed)
}

/// The events of a response, all of them together bounded.
fn events(response: Response<Incoming>) -> BoxStream<'static, Result<Sse, SseError>> {
    let body = Limited::new(response.into_body(), LONGEST).into_data_stream();
    let body = body.map_err(|error| io::Error::other(error.to_string()));
    SseStream::from_bytes_stream(body).boxed()
}

fn is(response: &Response<Incoming>, media: &str) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(media.as_bytes()))
}

impl StreamableHttpClient for HttpClient {
    type Error = io::Error;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        auth_header: Option<String>,
        custom_headers: Headers,
    ) -> HttpResult<StreamableHttpPostResponse> {
        let body = serde_json::to_string(&message)?;
        let accept = format!("{JSON}, {STREAM}");
        let mut own = vec![(header::CONTENT_TYPE, JSON), (header::ACCEPT, &accept)];
        let session = session_id.as_deref();
        own.extend(session.map(|id| (SESSION, id)));
        let bearer = auth_header.map(|token| format!("Bearer {token}"));
        own.extend(
            bearer
                .as_deref()
                .map(|bearer| (header::AUTHORIZATION, bearer)),
        );
        let response = send(Method::POST, &uri, &own, custom_headers, body).await?;
        match response.status() {
            StatusCode::ACCEPTED | StatusCode::NO_CONTENT => {
                return Ok(StreamableHttpPostResponse::Accepted);
            }
            StatusCode::NOT_FOUND if session.is_some() => {
                return Err(StreamableHttpError::SessionExpired);
            }
            status if !status.is_success() => {
                return Err(failed(format_args!("it answers {status}")));
            }
            _ => {}
        }
        let id = response.headers().get(SESSION);
        let id = id.and_then(|id| Some(id.to_str().ok()?.to_owned()));
        if is(&response, STREAM) {
            return Ok(StreamableHttpPostResponse::Sse(events(response), id));
        }
        let body = Limited::new(response.into_body(), LONGEST).collect().await;
        let body = body.map_err(failed)?.to_bytes();
        Ok(StreamableHttpPostResponse::Json(
            serde_json::from_slice(&body)?,
            id,
        ))
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session_id: Arc<str>,
        _auth_header: Option<String>,
        custom_headers: Headers,
    ) -> HttpResult<()> {
        let own = [(SESSION, &*session_id)];
        let response = send(Method::DELETE, &uri, &own, custom_headers, String::new()).await?;
        match response.status() {
            StatusCode::METHOD_NOT_ALLOWED => {
                Err(StreamableHttpError::ServerDoesNotSupportDeleteSession)
            }
            _ => Ok(()),
        }
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session_id: Option<Arc<str>>,
        last_event_id: Option<String>,
        _auth_header: Option<String>,
        custom_headers: Headers,
    ) -> HttpResult<BoxStream<'static, Result<Sse, SseError>>> {
        let mut own = vec![(header::ACCEPT, STREAM)];
        own.extend(session_id.as_deref().map(|id| (SESSION, id)));
        own.extend(last_event_id.as_deref().map(|id| (LAST_EVENT, id)));
        let response = send(Method::GET, &uri, &own, custom_headers, String::new()).await?;
        if !response.status().is_success() || !is(&response, STREAM) {
            return Err(StreamableHttpError::ServerDoesNotSupportSse);
        }
        Ok(events(response))
    }
}

/// Headers of a server's entry.
///
/// # Errors
/// One that is none.
pub(super) fn headers(entry: &[(String, String)]) -> Result<Headers, String> {
    let header = |(name, value): &(String, String)| {
        let wrong = || format!("the header `{name}` can't be sent");
        let parsed = HeaderName::try_from(name.as_str()).map_err(|_| wrong())?;
        let value = HeaderValue::from_str(value).map_err(|_| wrong())?;
        Ok((parsed, value))
    };
    entry.iter().map(header).collect()
}
