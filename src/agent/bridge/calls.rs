//! The calls that agents of the bridge wait for: who may call what, and where the answer goes.
//!
//! A call is held from its callback until its run answers it or ends. The bridge may send one call
//! twice; both then wait for one answer, and the run hears of it once. Knows no HTTP.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, watch};

use crate::{mcp::ToolNames, threads::lock};

/// How many calls of one run may wait at a time. Models make a handful.
const MOST: usize = 128;

/// A call, as the bridge sends it (sdk_custom_tool_callback_service.proto).
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CallRequest {
    /// The agent that makes it.
    pub agent_id: String,
    /// One of the agent's custom tools.
    pub tool_name: String,
    /// The arguments; an empty object may be missing.
    #[serde(default)]
    pub args: Map<String, Value>,
    /// Tells it from others, if it is there.
    #[serde(default)]
    pub tool_call_id: Option<String>,
}

/// A call that a run is to answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct BridgeCall {
    /// Unique in its run.
    pub key: u64,
    /// The client's tool.
    pub name: String,
    /// The arguments.
    pub arguments: Map<String, Value>,
    /// What the run's stream announces it by, if it is there.
    pub id: Option<String>,
}

/// What happens to a run's calls.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Incoming {
    /// The agent waits for a tool.
    Called(BridgeCall),
    /// It does not wait for this call any more, and has no answer.
    GivenUp(u64),
}

/// The bridge's side of a call that is held. Dropping the last one gives the call up.
#[derive(Debug)]
pub(super) struct HeldReply {
    /// The JSON of a `CallCustomToolResponse`, once it is there.
    pub body: watch::Receiver<Option<Arc<str>>>,
    on_drop: Option<GiveUp>,
}

#[derive(Debug)]
struct GiveUp {
    key: u64,
    reply: watch::Sender<Option<Arc<str>>>,
    run: mpsc::UnboundedSender<Incoming>,
}

impl Drop for HeldReply {
    fn drop(&mut self) {
        let Some(GiveUp { key, reply, run }) = self.on_drop.take() else {
            return;
        };
        // The one that is counted is our own.
        if reply.borrow().is_none() && reply.receiver_count() <= 1 {
            let _ = run.send(Incoming::GivenUp(key));
        }
    }
}

/// A call that cannot be held.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum CallError {
    /// No run has this agent, or no longer.
    #[error("no run is waiting for calls of the agent {0}")]
    UnknownAgent(String),
    /// The run has too many already.
    #[error("{MOST} calls of this agent wait already")]
    TooMany,
}

/// All open runs, by the id of their agent. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct BridgeCalls(Arc<Mutex<HashMap<String, OpenRun>>>);

#[derive(Debug)]
struct OpenRun {
    tools: ToolNames,
    sender: mpsc::UnboundedSender<Incoming>,
    held: Vec<Held>,
}

#[derive(Debug)]
struct Held {
    request: CallRequest,
    reply: watch::Sender<Option<Arc<str>>>,
}

/// A run's side. Dropping it ends its calls: each gets an error.
#[derive(Debug)]
pub(super) struct Desk {
    calls: BridgeCalls,
    agent: String,
}

impl BridgeCalls {
    /// Accepts calls of an agent from now on.
    pub fn open(&self, agent: &str, tools: ToolNames) -> (Desk, mpsc::UnboundedReceiver<Incoming>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let entry = OpenRun {
            tools,
            sender,
            held: Vec::new(),
        };
        self.lock().insert(agent.to_owned(), entry);
        let desk = Desk {
            calls: self.clone(),
            agent: agent.to_owned(),
        };
        (desk, receiver)
    }

    /// Holds a call of the bridge.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn call(&self, request: CallRequest) -> Result<HeldReply, CallError> {
        let mut agents = self.lock();
        let Some(entry) = agents.get_mut(&request.agent_id) else {
            return Err(CallError::UnknownAgent(request.agent_id));
        };
        let Some(name) = entry.tools.client(&request.tool_name).map(str::to_owned) else {
            // The model can correct it, so the answer is the tool's and not an error of the protocol.
            let text = format!(
                "There is no tool {}. The tools are: {}.",
                request.tool_name,
                entry.tools.agents().join(", ")
            );
            return Ok(HeldReply {
                body: watch::channel(Some(error(&text))).1,
                on_drop: None,
            });
        };
        let same = |held: &Held| request.tool_call_id.is_some() && held.request == request;
        let place = match entry.held.iter().position(same) {
            Some(place) => {
                tracing::debug!(tool = %request.tool_name, "the bridge has sent a call again");
                place
            }
            None => entry.hold(request, name)?,
        };
        let held = &entry.held[place];
        Ok(HeldReply {
            body: held.reply.subscribe(),
            on_drop: Some(GiveUp {
                key: key(place),
                reply: held.reply.clone(),
                run: entry.sender.clone(),
            }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, OpenRun>> {
        lock(&self.0)
    }
}

impl OpenRun {
    /// Hands a new call of the client's tool of this name to the run. Its place.
    fn hold(&mut self, request: CallRequest, name: String) -> Result<usize, CallError> {
        let waiting = self
            .held
            .iter()
            .filter(|held| held.reply.borrow().is_none());
        if waiting.count() >= MOST {
            return Err(CallError::TooMany);
        }
        let place = self.held.len();
        let call = BridgeCall {
            key: key(place),
            name,
            arguments: request.args.clone(),
            id: request.tool_call_id.clone(),
        };
        if self.sender.send(Incoming::Called(call)).is_err() {
            return Err(CallError::UnknownAgent(request.agent_id));
        }
        self.held.push(Held {
            request,
            reply: watch::channel(None).0,
        });
        Ok(place)
    }
}

fn key(place: usize) -> u64 {
    u64::try_from(place).unwrap_or(u64::MAX)
}

impl Desk {
    /// Answers a call. False if nobody waits for it: the bridge has given it up, it was answered
    /// before, or there never was such a call.
    pub fn reply(&self, key: u64, result: Value) -> bool {
        let agents = self.calls.lock();
        let held = usize::try_from(key)
            .ok()
            .and_then(|key| agents.get(&self.agent)?.held.get(key));
        let Some(held) = held.filter(|held| held.reply.borrow().is_none()) else {
            return false;
        };
        let waiting = held.reply.receiver_count() > 0;
        // Kept even if nobody waits: the bridge may ask again.
        held.reply.send_replace(Some(envelope(result)));
        waiting
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let entry = self.calls.lock().remove(&self.agent);
        for held in entry.into_iter().flat_map(|entry| entry.held) {
            let gone = || Some(error("The call was cancelled: its caller is gone."));
            held.reply.send_if_modified(|answer| {
                let is_open = answer.is_none();
                *answer = answer.take().or_else(gone);
                is_open
            });
        }
    }
}

/// An error that the model can read.
fn error(text: &str) -> Arc<str> {
    envelope(json!({"content": [{"type": "text", "text": text}], "isError": true}))
}

/// A `CallCustomToolResponse`. The result is the content envelope of MCP, which the SDK knows.
fn envelope(result: Value) -> Arc<str> {
    json!({ "result": result }).to_string().into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
pub(super) mod tests {
    use super::*;
    use crate::turn::ToolSpec;

    /// One tool of this name.
    pub fn named(tool: &str) -> ToolNames {
        let spec = ToolSpec {
            name: tool.to_owned(),
            description: String::new(),
            schema: json!({}).into(),
        };
        ToolNames::new(&[spec], 40)
    }

    fn request(agent: &str, tool: &str, id: Option<&str>) -> CallRequest {
        let mut request = json!({"agentId": agent, "toolName": tool, "args": {"a": 1}});
        if let Some(id) = id {
            request["toolCallId"] = json!(id);
        }
        serde_json::from_value(request).unwrap()
    }

    #[tokio::test]
    async fn a_call_is_held_and_answered_once() {
        let calls = BridgeCalls::default();
        let (desk, mut receiver) = calls.open("a", named("t"));
        let first = calls.call(request("a", "t", Some("1"))).unwrap();
        let again = calls.call(request("a", "t", Some("1"))).unwrap();
        let other = calls.call(request("a", "t", None)).unwrap();
        let unnamed = calls.call(request("a", "t", None)).unwrap();
        let keys: Vec<u64> = std::iter::from_fn(|| receiver.try_recv().ok())
            .map(|incoming| match incoming {
                Incoming::Called(call) => call.key,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(keys, [0, 1, 2], "the repeated call is one call");
        assert!(first.body.borrow().is_none());
        assert!(desk.reply(0, json!("done")));
        assert!(!desk.reply(0, json!("other")) && !desk.reply(9, json!("x")));
        let expected = r#"{"result":"done"}"#;
        for reply in [
            &first,
            &again,
            &calls.call(request("a", "t", Some("1"))).unwrap(),
        ] {
            assert_eq!(reply.body.borrow().as_deref(), Some(expected));
        }
        drop((first, again));
        assert!(
            receiver.try_recv().is_err(),
            "an answered call is not given up"
        );
        drop(other);
        assert_eq!(receiver.try_recv(), Ok(Incoming::GivenUp(1)));
        assert!(!desk.reply(1, json!("late")));
        drop(desk);
        let text = unnamed.body.borrow().clone().unwrap();
        assert!(text.contains("caller is gone"), "{text}");
    }

    #[test]
    fn strangers_are_turned_away() {
        let calls = BridgeCalls::default();
        let (desk, _receiver) = calls.open("a", named("t"));
        let unknown = calls.call(request("b", "t", None)).unwrap_err();
        assert_eq!(unknown, CallError::UnknownAgent("b".to_owned()));
        let reply = calls.call(request("a", "u", None)).unwrap();
        let text = reply.body.borrow().clone().unwrap();
        assert!(
            text.contains("no tool u") && text.contains(r#""isError":true"#),
            "{text}"
        );
        let _held: Vec<_> = (0..MOST)
            .map(|_| calls.call(request("a", "t", None)).unwrap())
            .collect();
        let error = calls.call(request("a", "t", None)).unwrap_err();
        assert_eq!(error, CallError::TooMany);
        drop(desk);
        assert!(calls.call(request("a", "t", None)).is_err());
    }
}
