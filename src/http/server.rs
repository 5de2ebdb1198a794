//! The accept loop, and the end of it.
//!
//! warp's own server lacks what a proxy needs (no delay, a time limit on headers, a deadline for
//! draining), so its filters run under a loop of ours.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{App, routes};
use crate::stall::Stall;

/// How long a client may take to send the head of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// How much of an answer may wait for a slow client, beside what the system buffers. Heads of
/// requests must fit too.
const BUFFER: usize = 64 * 1024;

/// How long turns that were told to end have to say so to their clients.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Why the server can't listen.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Something listens there already.
    #[error("{addr} is in use{}", by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default())]
    InUse {
        /// The address.
        addr: SocketAddr,
        /// Who, if it is one of ours.
        by: Option<String>,
    },
    /// The address can't be listened on.
    #[error("cannot listen on {addr}: {source}")]
    Bind {
        /// The address.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// A bound server that does not accept yet.
pub struct Server {
    listener: TcpListener,
    addr: SocketAddr,
}

/// How a server is told to stop.
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
        let addr = SocketAddr::new(host, port);
        match TcpListener::bind(addr).await {
            Ok(listener) => {
                let addr = listener.local_addr().unwrap_or(addr);
                Ok(Self { listener, addr })
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(ServerError::InUse {
                addr,
                by: super::probe::identify(addr).await.map(|it| it.to_string()),
            }),
            Err(source) => Err(ServerError::Bind { addr, source }),
        }
    }

    /// The address, with the real port.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Serves until told to stop. When this returns, no turn is running.
    pub async fn run(self, app: Arc<App>, shutdown: Shutdown) {
        let stall = app.config().stall;
        let room = Arc::new(Semaphore::new(app.config().max_connections));
        let graceful = GracefulShutdown::new();
        let mut connections = JoinSet::new();
        let service = TowerToHyperService::new(warp::service(routes(Arc::clone(&app))));
        loop {
            let accept = async {
                let place = Arc::clone(&room).acquire_owned().await;
                self.listener
                    .accept()
                    .await
                    .map(|(stream, _)| (stream, place))
            };
            let (stream, place) = tokio::select! {
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
            // A delta is a small packet that must not wait for the next one.
            let _ = stream.set_nodelay(true);
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .max_buf_size(BUFFER)
                .serve_connection(TokioIo::new(Stall::new(stream, stall)), service.clone());
            let connection = graceful.watch(connection);
            connections.spawn(async move {
                let _place = place;
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "a connection ended badly");
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
    }
}
