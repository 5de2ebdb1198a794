//! What every request passes before warp, which panics on an address without a path and does not see
//! who is at the other end of the connection.

use std::{convert::Infallible, pin::Pin};

use hyper::{
    Request, Uri,
    body::Incoming,
    header::{HOST, HeaderValue},
    service::Service,
};
use warp::reply::Response;

use super::peer::Admitted;

/// The routes, for the requests of one connection.
#[derive(Clone)]
pub(super) struct Edge<S> {
    pub routes: S,
    pub admitted: Admitted,
}

impl<S> Service<Request<Incoming>> for Edge<S>
where
    S: Service<Request<Incoming>, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    /// On the heap, since the connection keeps the place of a future that it has in itself, also while
    /// it writes the answer.
    type Future = Pin<Box<S::Future>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        // An address with a host outranks the header (RFC 9112, 3.2.2).
        let authority = request.uri().authority();
        let host = authority.and_then(|host| HeaderValue::from_str(host.as_str()).ok());
        if let Some(host) = host {
            request.headers_mut().insert(HOST, host);
        }
        // `CONNECT host:port` has no path; no method but GET is served at this one.
        if request.uri().path_and_query().is_none() {
            *request.uri_mut() = Uri::from_static("/");
        }
        request.extensions_mut().insert(self.admitted.clone());
        Box::pin(self.routes.call(request))
    }
}
