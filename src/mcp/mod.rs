//! The client's tools as an MCP server, so that a running agent can call them as real tools.
//!
//! ```text
//! agent ── POST /mcp ──> http (gate, body) ──> rpc ──> calls ── Event::Called ──> engine
//!   ^                                                   │ ^
//!   └── JSON or event stream <── stream <── hold <──────┘ └── Offer::reply ────── engine
//! ```
//!
//! An [`Endpoint`] is one listener on loopback for the whole server, so that its address stays the
//! same. Each run makes an [`Offer`] of it: a bearer of its own and the tools that this run may
//! call. A call is held open until the engine replies. Cursor's MCP client gives up after 60 s and
//! no progress extends that, so after [`WaitLimits::hold`] the call is answered with an id, and the
//! extra tool `await_result` holds the next request for it.
//!
//! The transport is MCP's Streamable HTTP without sessions: any request works without `initialize`.
//! This module knows tools and results; it does not know conversations, runs or Cursor's events.

mod calls;
mod content;
mod endpoint;
mod hold;
mod http;
pub(crate) mod listener;
mod names;
mod offer;
mod rpc;
mod stream;
mod tools;

use std::time::Duration;

pub use calls::{CallKey, Called, Event};
pub use content::{image_type, of_result};
pub use endpoint::Endpoint;
pub use names::ToolNames;
pub use offer::Offer;

/// How long requests of an agent may take. [`WaitLimits::default`] suits Cursor's CLI.
#[derive(Debug, Clone, Copy)]
pub struct WaitLimits {
    /// How long a call is held before it is answered with an id for `await_result`.
    pub hold: Duration,
    /// How long the answer of a held call may be silent before a comment, and progress where the
    /// agent asked for it, shows that it lives.
    pub heartbeat: Duration,
    /// How long an agent may take to send the head of a request, and again for its body.
    pub request: Duration,
}

impl Default for WaitLimits {
    fn default() -> Self {
        Self {
            hold: Duration::from_secs(50),
            heartbeat: Duration::from_secs(15),
            request: Duration::from_secs(30),
        }
    }
}

#[cfg(test)]
mod tests;
