//! OpenAI's chat completions: `POST /v1/chat/completions`.
//!
//! `decode` reads the request, `encode` writes chunks and whole answers, `calls` the
//! calls in them.

mod calls;
mod decode;
mod encode;

use super::{
    Dialect, Parameter, PathTarget, Request, Stamp,
    parameters::{FORMAT, NO_FLAG},
};
use crate::turn::TurnError;

const PARAMETERS: &[Parameter] = &[
    Parameter::honoured("model", "`auto` if missing"),
    Parameter::honoured("messages", "text, tool calls and tool results"),
    Parameter::honoured("stream", ""),
    Parameter::honoured("stream_options.include_usage", "`true` if missing"),
    Parameter::honoured("tools", "function and custom tools, in any vendor's form"),
    Parameter::honoured("functions tool_choice function_call", ""),
    Parameter::honoured("parallel_tool_calls", ""),
    Parameter::honoured("toolConfig tool_config", "Gemini's `tool_choice`"),
    Parameter::honoured("system", "Claude's instructions, before all messages"),
    Parameter::honoured("input", "Responses' `messages`, if there are none"),
    Parameter::honoured("instructions", "with `input`"),
    Parameter::honoured("reasoning.effort", "Responses' `reasoning_effort`"),
    Parameter::honoured("max_output_tokens", "Responses' `max_tokens`"),
    Parameter::honoured("reasoning_effort", "where the model has such a variant"),
    Parameter::honoured(
        "x_cursor",
        "`true`: the answer's `x_cursor` lists the tools that ran without the client; as an object: \
         `activity` tells them at once, `tools` names those of the server's",
    ),
    Parameter::honoured("cursorModel", "Cursor's own id; wins over `model`"),
    Parameter::honoured("response_format", FORMAT),
    Parameter::honoured("cursorWorkspace", "the directory that the agent works in"),
    Parameter::honoured("stop", "the run ends there"),
    Parameter::honoured("max_completion_tokens", "by an estimate; text only"),
    Parameter::honoured("max_tokens", "by an estimate; text only"),
    Parameter::honoured("n", "up to 4, each a run of its own"),
    Parameter::accepted("store", "nothing is stored"),
    Parameter::accepted("metadata user safety_identifier", ""),
    Parameter::accepted("prompt_cache_key", "Cursor caches by itself"),
    Parameter::accepted("prompt_cache_retention", "Cursor caches by itself"),
    Parameter::accepted("service_tier", ""),
    Parameter::ignored("temperature top_p seed presence_penalty", NO_FLAG),
    Parameter::ignored("frequency_penalty logit_bias verbosity prediction", NO_FLAG),
    Parameter::ignored("web_search_options", "Cursor's agent searches by itself"),
    Parameter::refused("logprobs top_logprobs", "Cursor's CLI reports none"),
    Parameter::refused("audio", "answers are text"),
];

/// The dialect.
pub struct OpenAiChat;

impl Dialect for OpenAiChat {
    fn path(&self) -> &'static str {
        "/v1/chat/completions"
    }

    fn table(&self) -> &'static [Parameter] {
        PARAMETERS
    }

    fn decode(&self, body: &[u8], _target: PathTarget, stamp: Stamp) -> Result<Request, TurnError> {
        decode::request(body, stamp)
    }
}
