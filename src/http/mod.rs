//! The HTTP server: warp filters under our own accept loop.
//!
//! ```text
//! server (accept, drain) ─> routes (origin, auth, method + path) ─> body (bounded JSON) ─> dialect ─> engine
//!                                                  └> sse | whole ─> reply
//! ```
//!
//! This module knows the dialects and the engine, and nothing of agents or the boundary.

mod answer;
mod auth;
mod body;
mod choices;
pub mod client;
mod cors;
mod models;
mod origin;
mod probe;
mod reply;
mod routes;
mod server;
mod sse;
mod unserved;

pub use auth::ApiKey;
pub use origin::{InvalidOrigin, parse_origin};
pub use probe::{RunningServer, identify};
pub use routes::{App, Config, routes};
pub use server::{Server, ServerError, Shutdown};
