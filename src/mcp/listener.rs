//! HTTP on a loopback port, for callers on this machine. Who may ask for what is the caller's to decide.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::{CONTENT_TYPE, HeaderValue},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{
    net::TcpListener,
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;

/// The largest head of a request, and how much of an answer may wait for a slow reader.
const BUFFER: usize = 64 * 1024;

/// How long answers that are on their way have when the listener closes.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The body of an answer.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// What a listener puts up with.
#[derive(Debug, Clone, Copy)]
pub struct ListenerLimits {
    /// The most connections at once. Each held call has one.
    pub connections: usize,
    /// How long the head of a request may take, and how long a reader of an answer may stop.
    pub request: Duration,
}

/// Answers all requests by `answer`, until `stop`. `whose` names the listener in the log.
pub async fn serve<R>(
    whose: &'static str,
    listener: TcpListener,
    limits: ListenerLimits,
    stop: CancellationToken,
    answer: impl Fn(Request<Incoming>) -> R + Clone + Send + 'static,
) where
    R: Future<Output = Response<Body>> + Send + 'static,
{
    let room = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    loop {
        let accept = async {
            let place = Arc::clone(&room).acquire_owned().await;
            let (stream, _) = listener.accept().await?;
            io::Result::Ok((stream, place))
        };
        let (stream, place) = tokio::select! {
            accepted = accept => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "{whose} cannot accept a connection");
                    sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            Some(_) = connections.join_next() => continue,
            () = stop.cancelled() => break,
        };
        // A result must not wait for the next packet.
        let _ = stream.set_nodelay(true);
        let answer = answer.clone();
        let service = service_fn(move |request| {
            let answer = answer(request);
            async { Ok::<_, Infallible>(answer.await) }
        });
        // A client that stops reading loses its connection.
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(limits.request));
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.request)
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(Box::pin(stream)), service);
        let connection = graceful.watch(connection);
        connections.spawn(async move {
            let _place = place;
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to {whose} ended badly");
            }
        });
    }
    drop(listener);
    let _ = timeout(LAST_WORDS, graceful.shutdown()).await;
    connections.shutdown().await;
}

/// An answer of this content type, if it has any content.
pub fn respond(
    status: StatusCode,
    kind: Option<&'static str>,
    body: impl Into<Bytes>,
) -> Response<Body> {
    let mut response = Response::new(Full::new(body.into()).boxed_unsync());
    *response.status_mut() = status;
    if let Some(kind) = kind {
        let kind = HeaderValue::from_static(kind);
        response.headers_mut().insert(CONTENT_TYPE, kind);
    }
    response
}
