//! MCP servers whose tools the server executes: rmcp's client, and what keeps it alive.
//!
//! ```text
//! sources (files) ─> McpServerConfig ─> SupervisedServer ── started on first use, started again if it dies
//!                                          ├─ process: a command, JSON lines on its pipes
//!                                          └─ http: streamable HTTP, with or without TLS
//! McpServers ── tools() ──> OwnTool, named `server_tool`
//!            └─ call(name, arguments) ──> ToolAnswer
//! ```
//!
//! A server is a program of the user's, but not one to be believed: what it sends is bounded, what it
//! says of its tools is checked, and it has a limited time for everything. Not to be mixed up with
//! [`crate::mcp`], which serves the client's tools to an agent.

mod answer;
mod config;
mod http;
mod live;
mod process;
mod server;
mod servers;
mod tls;

pub use config::{
    McpConfigError, McpForm, McpFrom, McpServerConfig, McpSource, McpTransport, read,
};
pub use server::{McpHealth, McpLimits};
pub use servers::McpServers;
