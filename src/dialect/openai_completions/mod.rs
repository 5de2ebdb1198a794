//! OpenAI's legacy completions: `POST /v1/completions`.
//!
//! `decode` reads the request, `encode` writes chunks and whole answers. The prompt is asked as a
//! user's message: Cursor's models have no other mode.

mod decode;
mod encode;

use super::{Dialect, Parameter, PathTarget, Request, Stamp, parameters::NO_FLAG};
use crate::turn::TurnError;

const PARAMETERS: &[Parameter] = &[
    Parameter::honoured("model", "`auto` if missing"),
    Parameter::honoured("prompt", "text or a list of texts; no tokens"),
    Parameter::honoured("stream", ""),
    Parameter::honoured("stream_options.include_usage", "`true` if missing"),
    Parameter::honoured("stop", "the run ends there"),
    Parameter::honoured("max_tokens", "by an estimate"),
    Parameter::honoured("n", "up to 4 choices in all, each a run of its own"),
    Parameter::honoured("cursorModel", "Cursor's own id; wins over `model`"),
    Parameter::honoured("cursorWorkspace", "the directory that the agent works in"),
    Parameter::accepted("user", ""),
    Parameter::ignored("temperature top_p seed presence_penalty", NO_FLAG),
    Parameter::ignored("frequency_penalty logit_bias", NO_FLAG),
    Parameter::ignored("best_of", "every answer is returned"),
    Parameter::refused("echo", "put the prompt before the answer yourself"),
    Parameter::refused("suffix", "Cursor's CLI does not insert"),
    Parameter::refused("logprobs", "Cursor's CLI reports none"),
];

/// The dialect.
pub struct Completions;

impl Dialect for Completions {
    fn path(&self) -> &'static str {
        "/v1/completions"
    }

    fn table(&self) -> &'static [Parameter] {
        PARAMETERS
    }

    fn decode(&self, body: &[u8], _target: PathTarget, stamp: Stamp) -> Result<Request, TurnError> {
        decode::request(body, &stamp)
    }
}
