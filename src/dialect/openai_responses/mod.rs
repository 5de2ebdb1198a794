//! OpenAI's Responses: `POST /v1/responses`.
//!
//! Formats as in the types of OpenAI's SDK (`openai` 6.49 for Node, `resources/responses`).
//! `decode` reads the request and `input` its items, `encode` writes the stream's events, `response`
//! the response object, `output` its items.

mod decode;
mod encode;
mod input;
mod output;
mod response;

pub(super) use decode::messages;

use super::{
    Dialect, Parameter, Request, Stamp,
    openai_error::error_object,
    parameters::{FORMAT, NO_FLAG},
};
use crate::turn::TurnError;

const PARAMETERS: &[Parameter] = &[
    Parameter::honoured("model", "`auto` if missing"),
    Parameter::honoured("input", "text, messages, calls and their outputs"),
    Parameter::honoured("instructions", ""),
    Parameter::honoured("stream", ""),
    Parameter::honoured(
        "tools",
        "functions, custom tools, namespaces; web and tool search are left out, other hosted tools refused",
    ),
    Parameter::honoured("tool_choice", ""),
    Parameter::honoured("parallel_tool_calls", ""),
    Parameter::honoured("reasoning.effort", "where the model has such a variant"),
    Parameter::honoured("reasoning.summary", "the reasoning is shown if it is there"),
    Parameter::honoured("max_output_tokens", "by an estimate; text only"),
    Parameter::honoured("text.format", FORMAT),
    Parameter::honoured("cursorModel", "Cursor's own id; wins over `model`"),
    Parameter::honoured("cursorWorkspace", "the directory that the agent works in"),
    Parameter::accepted("store", "nothing is stored"),
    Parameter::accepted("include", "there is nothing to include"),
    Parameter::accepted("metadata", "returned"),
    Parameter::accepted("client_metadata", ""),
    Parameter::accepted("user", ""),
    Parameter::accepted("safety_identifier", ""),
    Parameter::accepted("prompt_cache_key", "Cursor caches by itself"),
    Parameter::accepted("prompt_cache_options", "Cursor caches by itself"),
    Parameter::accepted("prompt_cache_retention", "Cursor caches by itself"),
    Parameter::accepted("service_tier", ""),
    Parameter::accepted("stream_options", ""),
    Parameter::ignored("temperature", NO_FLAG),
    Parameter::ignored("top_p", NO_FLAG),
    Parameter::ignored("truncation", NO_FLAG),
    Parameter::ignored("max_tool_calls", NO_FLAG),
    Parameter::ignored("context_management", NO_FLAG),
    Parameter::ignored("moderation", NO_FLAG),
    Parameter::ignored("text.verbosity", NO_FLAG),
    Parameter::refused(
        "previous_response_id",
        "no responses are stored; send the whole conversation in `input`",
    ),
    Parameter::refused(
        "conversation",
        "no conversations are stored; send the whole of it in `input`",
    ),
    Parameter::refused("prompt", "there are no stored prompts; send its text"),
    Parameter::refused("background", "answers come in the response"),
    Parameter::refused("top_logprobs", "Cursor's CLI reports none"),
];

/// The dialect.
pub struct Responses;

impl Dialect for Responses {
    fn path(&self) -> &'static str {
        "/responses"
    }

    fn parameters(&self) -> &'static [Parameter] {
        PARAMETERS
    }

    fn decode(&self, body: &[u8], stamp: Stamp) -> Result<Request, TurnError> {
        decode::request(body, &stamp)
    }

    fn error(&self, error: &TurnError) -> Vec<u8> {
        error_object(error).to_string().into_bytes()
    }
}
