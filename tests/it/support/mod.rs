//! What the tests share: a server of their own, and a reader of its answers.

mod cli;
mod fake_agent;
mod server;
mod sse;
pub mod wire;

pub use cli::{Home, ended, golden};
pub use server::{Answer, TestServer, call_count, process_exists, user, wait_until};
pub use sse::Stream;
