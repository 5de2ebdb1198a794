//! The HTTP server: warp filters under our own accept loop.
//!
//! ```text
//! listen ─> server (accept, drain) ─> edge ─> routes (origin, peer, auth, method + path)
//!                                               └> body (bounded JSON) ─> dialect ─> engine
//!                                                   └> choices ─> sse | whole ─> reply
//! ```
//!
//! Each request has a `record`, which becomes a line of the log, is counted in `metrics`, and is a row of
//! the history if a model answers.
//!
//! This module knows the dialects and the engine, and nothing of agents or the boundary.

mod affinity;
mod answer;
mod app;
mod auth;
mod body;
mod choices;
pub mod client;
mod cors;
mod edge;
mod facts;
mod keys;
mod limits;
mod listen;
mod listeners;
mod live;
mod metrics;
mod models;
mod names;
mod origin;
mod page;
mod peer;
mod probe;
mod record;
mod reply;
mod route;
mod routes;
mod server;
mod sse;
mod status;
mod tool_results;
mod unserved;

pub use app::{App, HttpConfig};
pub use auth::ApiKey;
pub use keys::{ClientKey, KeyRing, KeysError};
pub use listen::{Address, ServerError};
pub use origin::{InvalidOrigin, parse_origin};
pub use page::Recipe;
pub use peer::knows_users;
pub use probe::{RunningServer, identify};
pub use routes::routes;
pub use server::{Server, Shutdown};
