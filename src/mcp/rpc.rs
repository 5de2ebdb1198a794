//! JSON-RPC: one message of the agent in, what is to be answered out.

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value, json};

use super::{
    calls::{NotHeld, WaitOutcome},
    content,
    hold::Hold,
    offer::OfferSession,
    tools::Named,
};

/// The versions of the protocol that differ in nothing that is used here, the newest last.
const VERSIONS: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

const PARSE_ERROR: i64 = -32700;
const INVALID_REQUEST: i64 = -32600;
const METHOD_NOT_FOUND: i64 = -32601;
const INVALID_PARAMS: i64 = -32602;
/// Ours: the run that the tools belong to has ended.
const RUN_ENDED: i64 = -32000;

/// What a message is answered with.
pub(super) enum RpcReply {
    /// Nothing: it was a notification or a response.
    Nothing,
    /// This message, at once.
    Now(Value),
    /// A message as soon as the tool has answered.
    Held(HeldRequest),
}

/// A request that waits for a tool.
pub(super) struct HeldRequest {
    /// The JSON-RPC id of the request.
    pub(super) id: Value,
    hold: Hold,
    session: Arc<OfferSession>,
    /// What the agent calls the progress of this request, if it wants to hear of any.
    pub(super) progress_token: Option<Value>,
}

impl HeldRequest {
    /// The response, after `limit` at the latest; `None` if the agent cancelled the request.
    pub(super) async fn response(self, limit: Duration) -> Option<Value> {
        let key = self.hold.key;
        let result = match self.hold.outcome(limit).await {
            Some(WaitOutcome::Result(result)) => result,
            Some(WaitOutcome::Cancelled) => return None,
            Some(WaitOutcome::Replaced) => {
                content::error("a later call waits for this result; it will be returned there")
            }
            Some(WaitOutcome::Ended) => return Some(ended(&self.id)),
            None => content::still_running(&key.to_string(), self.session.tools.await_result()),
        };
        Some(response(&self.id, result))
    }
}

/// The answer to a body that is not JSON.
pub(super) fn not_json(why: &serde_json::Error) -> Value {
    let message = format!("the body is not JSON: {why}");
    error(&Value::Null, PARSE_ERROR, &message)
}

/// Handles one message. Never blocks.
pub(super) fn handle(message: Value, session: &Arc<OfferSession>) -> RpcReply {
    reply(message, session).unwrap_or_else(RpcReply::Now)
}

/// The same; an error is a message that is sent at once.
fn reply(message: Value, session: &Arc<OfferSession>) -> Result<RpcReply, Value> {
    let invalid = |id: &Value, why: &str| Err(error(id, INVALID_REQUEST, why));
    let Value::Object(mut message) = message else {
        return invalid(&Value::Null, "a message must be an object");
    };
    let params = match message.remove("params") {
        Some(Value::Object(params)) => params,
        _ => Map::new(),
    };
    let id = message.remove("id");
    let method = match message.get("method") {
        Some(Value::String(method)) => method.as_str(),
        // We send no requests, so nobody waits for a response.
        None if message.contains_key("result") || message.contains_key("error") => {
            return Ok(RpcReply::Nothing);
        }
        _ => {
            let id = id.filter(is_id).unwrap_or_default();
            return invalid(&id, "`method` must be a string");
        }
    };
    match id {
        None => {
            if method == "notifications/cancelled"
                && let Some(request) = params.get("requestId")
            {
                session.calls.cancel(request);
            }
            Ok(RpcReply::Nothing)
        }
        Some(id) if is_id(&id) => request(id, method, params, session),
        Some(_) => invalid(&Value::Null, "`id` must be a string or a number"),
    }
}

fn is_id(id: &Value) -> bool {
    id.is_string() || id.is_number()
}

fn request(
    id: Value,
    method: &str,
    params: Map<String, Value>,
    session: &Arc<OfferSession>,
) -> Result<RpcReply, Value> {
    Ok(RpcReply::Now(match method {
        "initialize" => response(&id, initialize(&params)),
        "ping" => response(&id, json!({})),
        // There is one page, whatever page is asked for.
        "tools/list" => {
            session.calls.listed();
            response(&id, session.tools.list().clone())
        }
        "tools/call" => return call(id, params, session),
        _ => error(&id, METHOD_NOT_FOUND, &format!("unknown method `{method}`")),
    }))
}

fn initialize(params: &Map<String, Value>) -> Value {
    let asked = params.get("protocolVersion").and_then(Value::as_str);
    let newest = VERSIONS[VERSIONS.len() - 1];
    let version = asked.filter(|asked| VERSIONS.contains(asked));
    json!({
        "protocolVersion": version.unwrap_or(newest),
        "capabilities": {"tools": {}},
        "serverInfo": {"name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION")},
    })
}

fn call(
    id: Value,
    mut params: Map<String, Value>,
    session: &Arc<OfferSession>,
) -> Result<RpcReply, Value> {
    // An error that the model can read.
    let refused = |why: String| response(&id, content::error(&why));
    let name = match params.remove("name") {
        Some(Value::String(name)) => name,
        _ => return Err(error(&id, INVALID_PARAMS, "`params.name` must be a string")),
    };
    let progress_token = params
        .get("_meta")
        .and_then(|meta| meta.get("progressToken"));
    let progress_token = progress_token.filter(|token| is_id(token)).cloned();
    let arguments = match params.remove("arguments") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(arguments)) => arguments,
        // Some models write an object as a string of JSON.
        Some(other) => other
            .as_str()
            .and_then(|text| serde_json::from_str(text).ok())
            .ok_or_else(|| refused(format!("the arguments of `{name}` must be an object")))?,
    };
    let hold = match session.tools.find(&name) {
        Named::Client(name) => session.calls.open(&id, name, arguments),
        Named::AwaitResult => session.calls.resume(&id, &awaited(&arguments)),
        Named::Unknown => {
            let names = session.tools.names().agents().join(", ");
            return Err(refused(format!(
                "there is no tool `{name}`; the tools are: {names}"
            )));
        }
    };
    let hold = hold.map_err(|not| match not {
        NotHeld::Ended => ended(&id),
        NotHeld::TooMany => {
            refused("too many calls are running; wait for their results and call again".to_owned())
        }
        NotHeld::Unknown(open) if open.is_empty() => refused(
            "no call has this id, and none is running: each result is returned once".to_owned(),
        ),
        NotHeld::Unknown(open) => refused(format!(
            "no call has this id: each result is returned once. Still running: {}",
            open.join(", ")
        )),
    })?;
    Ok(RpcReply::Held(HeldRequest {
        id,
        hold,
        session: Arc::clone(session),
        progress_token,
    }))
}

/// The id that an `await_result` names.
fn awaited(arguments: &Map<String, Value>) -> String {
    match arguments.get("id") {
        Some(Value::String(id)) => id.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

fn response(id: &Value, result: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "result": result})
}

fn error(id: &Value, code: i64, message: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}})
}

fn ended(id: &Value) -> Value {
    error(id, RUN_ENDED, "the run that offered this tool has ended")
}
