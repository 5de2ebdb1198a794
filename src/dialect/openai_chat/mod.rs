//! OpenAI's chat completions: `POST /v1/chat/completions`.
//!
//! `decode` reads the request, `encode` writes chunks and whole answers, `error` the error object.

mod decode;
mod encode;
mod error;

pub use error::error_object;

use super::{Dialect, Request, Stamp};
use crate::turn::TurnError;

/// The dialect.
pub struct OpenAiChat;

impl Dialect for OpenAiChat {
    fn path(&self) -> &'static str {
        "/chat/completions"
    }

    fn decode(&self, body: &[u8], stamp: Stamp) -> Result<Request, TurnError> {
        decode::request(body, stamp)
    }

    fn error(&self, error: &TurnError) -> Vec<u8> {
        error_object(error).to_string().into_bytes()
    }
}
