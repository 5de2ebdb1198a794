//! open-cursor: use a Cursor subscription from any OpenAI-compatible client.

pub mod agent;
pub mod boundary;
pub mod dialect;
pub mod models;
pub mod prompt;
pub mod turn;
