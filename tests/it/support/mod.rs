//! What the tests share: a server of their own, and a reader of its answers.

mod cli;
pub mod fake_agent;
mod served;
mod server;
mod sse;
pub mod wire;

pub use cli::{Ended, Home, ended, golden};
pub use fake_agent::fake_bridge;
pub use served::{Served, open_cursor};
pub use server::{Answer, Setup, TestServer, call_count, process_exists, user, wait_until};
pub use sse::Stream;
