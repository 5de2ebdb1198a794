//! open-cursor: use a Cursor subscription from any OpenAI-compatible client.

pub mod agent;
pub mod boundary;
pub mod cli;
pub mod models;
pub mod opencode;
pub mod turn;
