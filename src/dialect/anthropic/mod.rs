//! Anthropic's Messages: `POST /v1/messages` and `POST /v1/messages/count_tokens`.
//!
//! Formats as in the types of Anthropic's SDK (`@anthropic-ai/sdk` 1.11, `resources/messages`).
//! `decode` reads the request, `encode` writes events and whole messages, `error` the error object,
//! `models` the list of models.

mod decode;
mod encode;
mod error;
mod models;

use serde_json::{Value, json};

use super::{
    Ask, Dialect, Parameter, PathTarget, Request, Sign, Stamp,
    parameters::{FORMAT, NO_FLAG},
    unversioned,
};
use crate::{
    models::{Entry, Listing},
    turn::{TurnError, estimate_tokens},
};

const PARAMETERS: &[Parameter] = &[
    Parameter::honoured("model", "`auto` if missing"),
    Parameter::honoured("messages", "text, tool calls and tool results"),
    Parameter::honoured("system stream", ""),
    Parameter::honoured(
        "tools",
        "those that the client executes; see `tools[].type`",
    ),
    Parameter::honoured(
        "x_cursor",
        "`{\"tools\": \"all\"}`, or a list: tools of the server's",
    ),
    Parameter::honoured("tool_choice", "with `disable_parallel_tool_use`"),
    Parameter::honoured("max_tokens", "by an estimate; text only"),
    Parameter::honoured("stop_sequences", "the run ends there"),
    Parameter::honoured(
        "thinking",
        "whether reasoning is shown; its length is the model's",
    ),
    Parameter::honoured("output_config.effort", "where the model has such a variant"),
    Parameter::honoured("output_config.format", FORMAT),
    Parameter::honoured("output_format", "as `output_config.format`"),
    Parameter::honoured("cursorModel", "Cursor's own id; wins over `model`"),
    Parameter::honoured("cursorWorkspace", "the directory that the agent works in"),
    Parameter::accepted("metadata", ""),
    Parameter::accepted("cache_control", "Cursor caches by itself"),
    Parameter::accepted("service_tier user_profile_id workspace_id", ""),
    Parameter::ignored("temperature top_p top_k", NO_FLAG),
    Parameter::ignored("speed", "choose a fast model"),
    Parameter::ignored("inference_geo context_management diagnostics", NO_FLAG),
    Parameter::refused("container", "nothing runs on Anthropic's servers"),
    Parameter::refused("mcp_servers", "connect MCP servers to the client"),
];

/// The dialect.
pub struct Messages;

impl Dialect for Messages {
    fn path(&self) -> &'static str {
        "/v1/messages"
    }

    fn table(&self) -> &'static [Parameter] {
        PARAMETERS
    }

    fn decode(&self, body: &[u8], _target: PathTarget, stamp: Stamp) -> Result<Request, TurnError> {
        decode::request(body, &stamp)
    }

    fn error(&self, error: &TurnError) -> Vec<u8> {
        error::error_object(error).to_string().into_bytes()
    }

    fn route(&self, path: &str, _query: &str) -> Option<Ask> {
        match unversioned(path) {
            "/messages" => Some(Ask::Answer(PathTarget::default())),
            "/messages/count_tokens" => Some(Ask::Compute(count_tokens)),
            _ => None,
        }
    }

    fn signs(&self) -> &'static [Sign] {
        &[Sign::Path("/messages/"), Sign::Header("anthropic-version")]
    }

    fn models(&self, listing: &Listing) -> Value {
        models::list(listing)
    }

    fn model(&self, model: &Entry) -> Value {
        models::one(model)
    }
}

/// `input_tokens` is an estimate, which the extra member says.
fn count_tokens(body: &[u8]) -> Result<Vec<u8>, TurnError> {
    let turn = decode::turn(body)?;
    let count = json!({"input_tokens": estimate_tokens(&turn), "estimated": true});
    Ok(count.to_string().into_bytes())
}
