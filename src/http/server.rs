//! The accept loop, and the end of it.
//!
//! warp's own server lacks what a proxy needs (no delay, a time limit on headers, a deadline for
//! draining), so its filters run under this loop.

use std::{io, net::IpAddr, path::Path, sync::Arc, time::Duration};

use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{sync::Semaphore, task::JoinSet};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;

use super::{
    App,
    edge::Edge,
    listen::{Address, Listener, ServerError},
    peer::{Admitted, Peer},
    routes,
};

/// How long a client may take to send the head of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// How much of an answer may wait for a slow client, beside what the system buffers. Heads of
/// requests must fit too.
const BUFFER: usize = 64 * 1024;

/// How long turns that were ended have to report it to their clients.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How long the history has for its last rows: its disk may hang.
const HISTORY: Duration = Duration::from_secs(2);

/// A bound server that does not accept yet.
pub struct Server {
    listener: Listener,
}

/// Stops a server.
#[derive(Debug, Clone)]
pub struct Shutdown {
    /// Cancelled: accept nothing more, and let running turns finish.
    pub drain: CancellationToken,
    /// Cancelled: end at once.
    pub now: CancellationToken,
    /// How long running turns have.
    pub grace: Duration,
}

impl Server {
    /// Binds the address; port 0 picks a free one.
    ///
    /// # Errors
    /// [`ServerError`]; where the port is in use by another open-cursor, it says so.
    pub async fn bind(host: IpAddr, port: u16) -> Result<Self, ServerError> {
        let listener = Listener::tcp(host, port).await?;
        Ok(Self { listener })
    }

    /// Makes a UNIX socket that only its owner can open. It is removed at the end.
    ///
    /// # Errors
    /// [`ServerError`]; another file at the path stays as it is.
    pub async fn bind_socket(path: &Path) -> Result<Self, ServerError> {
        let listener = Listener::unix(path).await?;
        Ok(Self { listener })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.listener.address
    }

    /// Serves until it is stopped. When this returns, no turn is running, and all are in the history.
    pub async fn run(self, app: Arc<App>, shutdown: Shutdown) {
        let room = Arc::new(Semaphore::new(app.config().max_connections));
        // One at a time: each reads a list of all sockets of the machine.
        let lookups = Arc::new(Semaphore::new(1));
        let graceful = GracefulShutdown::new();
        let mut connections = JoinSet::new();
        let service = TowerToHyperService::new(warp::service(routes(Arc::clone(&app))));
        loop {
            let accept = async {
                let place = Arc::clone(&room).acquire_owned().await;
                let (stream, peer) = self.listener.accept().await?;
                Ok::<_, io::Error>((stream, peer, place))
            };
            let (stream, peer, place) = tokio::select! {
                accepted = accept => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        // Out of file descriptors, or a client that is gone already.
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                },
                Some(_) = connections.join_next() => continue,
                () = shutdown.drain.cancelled() => break,
                () = shutdown.now.cancelled() => break,
            };
            let config = app.config();
            // A client that stops reading stops its agent, which occupies one of the few slots. After the
            // limit its connection fails, which drops the answer's body and cancels the turn.
            let mut stream = TimeoutStream::new(stream);
            stream.set_write_timeout(Some(config.stall));
            let (watcher, routes) = (graceful.watcher(), service.clone());
            let lookups = Arc::clone(&lookups);
            connections.spawn(async move {
                let _place = place;
                let admitted = admit(peer, config.allowed_users.clone(), &lookups).await;
                let connection = hyper::server::conn::http1::Builder::new()
                    // A refused user gets an answer, and not one of the connections for long.
                    .keep_alive(admitted.check().is_ok())
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEADER_TIMEOUT)
                    .max_buf_size(BUFFER)
                    .serve_connection(TokioIo::new(Box::pin(stream)), Edge { routes, admitted });
                if let Err(error) = watcher.watch(connection).await {
                    tracing::debug!(%error, "a connection ended with an error");
                }
            });
        }
        drop(self.listener);
        app.engine().drain();
        let drained = graceful.shutdown();
        tokio::pin!(drained);
        let stop = async {
            tokio::time::sleep(shutdown.grace).await;
            app.engine().stop();
            // Clients that don't read can't be waited for.
            tokio::time::sleep(LAST_WORDS).await;
        };
        tokio::select! {
            () = &mut drained => {}
            () = stop => {}
            () = shutdown.now.cancelled() => {}
        }
        app.engine().stop();
        connections.shutdown().await;
        app.engine().idle().await;
        if let Some(history) = app.history().cloned() {
            let flushed = tokio::task::spawn_blocking(move || history.flush(HISTORY));
            let _ = flushed.await;
        }
    }
}

/// Whether the peer's user may use the server; `None` lets in all.
async fn admit(peer: Peer, allowed: Option<Vec<u32>>, lookups: &Semaphore) -> Admitted {
    let Some(allowed) = allowed else {
        return Admitted::everybody();
    };
    if let Some(admitted) = peer.admit_at_once(&allowed) {
        return admitted;
    }
    let _turn = lookups.acquire().await;
    let looked_up = tokio::task::spawn_blocking(move || peer.admit(&allowed)).await;
    looked_up.unwrap_or_else(|_| Admitted::nobody())
}
