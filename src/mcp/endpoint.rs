//! The listener that all agents of this server reach their tools by.

use std::{
    convert::Infallible,
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use subtle::ConstantTimeEq as _;
use tokio::{
    net::TcpListener,
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    WaitLimits, http,
    offer::{Offer, OfferSession},
};
use crate::turn::ToolSpec;

/// The most connections at once. Each held call has one.
const MOST_CONNECTIONS: usize = 512;

/// The largest head of a request, and how much of an answer may wait for a slow reader.
const BUFFER: usize = 64 * 1024;

/// How long answers that are on their way have when the endpoint closes.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The MCP server: one for the whole process. Clones are the same endpoint; it is served until the
/// last clone and offer are gone, or until it is closed.
#[derive(Clone)]
pub struct Endpoint(Arc<EndpointInner>);

struct EndpointInner {
    addr: SocketAddr,
    offers: Arc<Offers>,
    /// Ends the serving task.
    stop: DropGuard,
}

/// The offers that agents may use.
#[derive(Default)]
pub(super) struct Offers(Mutex<EndpointState>);

#[derive(Default)]
struct EndpointState {
    closed: bool,
    open: Vec<Arc<OfferSession>>,
}

impl Offers {
    fn lock(&self) -> MutexGuard<'_, EndpointState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The offer with this bearer. How long that takes does not depend on how much of it is right.
    pub(super) fn find(&self, bearer: &[u8]) -> Option<Arc<OfferSession>> {
        let mut found = None;
        for session in &self.lock().open {
            if session.bearer.as_bytes().ct_eq(bearer).into() {
                found = Some(Arc::clone(session));
            }
        }
        found
    }
}

impl Endpoint {
    /// Listens on a free port of 127.0.0.1, with the limits that suit Cursor's CLI.
    ///
    /// # Errors
    /// What the system says, usually that no file descriptor is left.
    pub async fn bind() -> io::Result<Self> {
        Self::bind_with(WaitLimits::default()).await
    }

    /// As [`Endpoint::bind`], with other limits.
    ///
    /// # Errors
    /// As [`Endpoint::bind`].
    pub async fn bind_with(limits: WaitLimits) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let offers = Arc::new(Offers::default());
        let stop = CancellationToken::new();
        tokio::spawn(serve(listener, Arc::clone(&offers), limits, stop.clone()));
        Ok(Self(Arc::new(EndpointInner {
            addr,
            offers,
            stop: stop.drop_guard(),
        })))
    }

    /// The address for the agent's configuration.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}{}", self.0.addr, http::PATH)
    }

    /// Offers the tools of one run under a new bearer. After [`Endpoint::close`] the offer has ended
    /// from the start.
    #[must_use]
    pub fn offer(&self, tools: &[ToolSpec]) -> Offer {
        let mut secret = [0; 32];
        let random = getrandom::fill(&mut secret);
        let session = Arc::new(OfferSession::new(secret, tools));
        let mut state = self.0.offers.lock();
        match random {
            Ok(()) if !state.closed => state.open.push(Arc::clone(&session)),
            Ok(()) => session.calls.end(),
            Err(error) => {
                // A bearer that can be guessed is never valid.
                tracing::error!(%error, "the system has no randomness; tools cannot be offered");
                session.calls.end();
            }
        }
        drop(state);
        Offer::new(self.clone(), session)
    }

    /// Ends all offers and stops listening: held calls are answered with an error first.
    pub fn close(&self) {
        let mut state = self.0.offers.lock();
        state.closed = true;
        for session in state.open.drain(..) {
            session.calls.end();
        }
        drop(state);
        self.0.stop.token().cancel();
    }

    /// Ends one offer.
    pub(super) fn withdraw(&self, session: &Arc<OfferSession>) {
        let mut state = self.0.offers.lock();
        state.open.retain(|open| !Arc::ptr_eq(open, session));
        drop(state);
        session.calls.end();
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Endpoint").field(&self.url()).finish()
    }
}

async fn serve(
    listener: TcpListener,
    offers: Arc<Offers>,
    limits: WaitLimits,
    stop: CancellationToken,
) {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
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
                    tracing::warn!(%error, "the MCP endpoint cannot accept a connection");
                    sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            Some(_) = connections.join_next() => continue,
            () = stop.cancelled() => break,
        };
        // A result must not wait for the next packet.
        let _ = stream.set_nodelay(true);
        let offers = Arc::clone(&offers);
        let service = service_fn(move |request| {
            let answer = http::handle(request, Arc::clone(&offers), limits);
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
                tracing::debug!(%error, "a connection to the MCP endpoint ended badly");
            }
        });
    }
    drop(listener);
    let _ = timeout(LAST_WORDS, graceful.shutdown()).await;
    connections.shutdown().await;
}
