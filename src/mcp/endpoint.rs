//! The listener that all agents of this server reach their tools by.

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard},
};

use subtle::ConstantTimeEq as _;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    WaitLimits, http,
    listener::{ListenerLimits, serve},
    offer::{Offer, OfferSession},
};
use crate::{threads::lock, turn::ToolSpec};

/// The most connections at once.
const MOST_CONNECTIONS: usize = 512;

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
        lock(&self.0)
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
    /// Listens on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// What the system says, usually that no file descriptor is left.
    pub async fn bind(limits: WaitLimits) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let offers = Arc::new(Offers::default());
        let stop = CancellationToken::new();
        let served = Arc::clone(&offers);
        let answer = move |request| http::handle(request, Arc::clone(&served), limits);
        let of_listener = ListenerLimits {
            connections: MOST_CONNECTIONS,
            request: limits.request,
        };
        let whose = "the MCP endpoint";
        tokio::spawn(serve(whose, listener, of_listener, stop.clone(), answer));
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
        Offer {
            endpoint: self.clone(),
            session,
        }
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
