//! A run: an agent of its own, one message, and the stream of what becomes of it.
//!
//! One task reads the stream whether or not somebody listens, since the bridge drops a reader that
//! falls behind, and cleans up after the run: what is left running is cancelled, and the agent is
//! deleted with all that the bridge keeps of it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Bridge,
    calls::{Call, Desk},
    connect::RpcError,
    decode::Decoder,
    failure,
    key::Key,
    models::Catalog,
    server::Server,
};
use crate::agent::{AgentError, AgentEvent, RunResult, Session, Tap};

/// How long the bridge may take to make an agent; it asks Cursor about the key.
const CREATE: Duration = Duration::from_secs(60);

/// How long each step of cleaning up may take.
const CLEAN: Duration = Duration::from_secs(5);

/// How long a process whose connection broke may take to be known as ended.
const NOTICE: Duration = Duration::from_millis(500);

/// What to ask.
#[derive(Debug, Clone)]
pub struct Request {
    /// The message.
    pub prompt: Arc<str>,
    /// Images that belong to it.
    pub images: Vec<Image>,
    /// The model's id, as [`Bridge::models`] lists it.
    pub model: String,
    /// The directory that the agent is told it works in; absolute.
    pub workspace: PathBuf,
    /// The tools that it has; no others.
    pub tools: Vec<Tool>,
    /// The key to use in place of the bridge's own.
    pub key: Option<Key>,
    /// Gets each message of the stream before it is read.
    pub tap: Option<Tap>,
}

/// An image.
#[derive(Debug, Clone)]
pub struct Image {
    /// As in `image/png`.
    pub mime_type: String,
    /// The file's content.
    pub bytes: Bytes,
}

/// A tool that the agent may call.
#[derive(Debug, Clone)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What the model reads of it.
    pub description: String,
    /// JSON Schema of its arguments.
    pub schema: Arc<Value>,
}

/// A running agent. Dropping it cancels the run and deletes the agent, in the background; calls that
/// wait get an error first.
#[derive(Debug)]
pub struct BridgeRun {
    desk: Desk,
    calls: mpsc::UnboundedReceiver<Call>,
    heard: mpsc::UnboundedReceiver<Heard>,
    _stop: DropGuard,
}

/// What the stream said, or why it says nothing more.
type Heard = Result<Vec<AgentEvent>, AgentError>;

/// Something happened in a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Happened {
    /// Events, at least one.
    Events(Vec<AgentEvent>),
    /// The agent waits for a tool.
    Called {
        /// To answer it with [`BridgeRun::reply`].
        key: u64,
        /// The tool's name.
        name: String,
        /// The arguments.
        arguments: Map<String, Value>,
    },
}

impl BridgeRun {
    /// Makes an agent and sends it the message.
    ///
    /// # Errors
    /// Why there is no run: no bridge, no key, no such model, or what Cursor says.
    pub(super) async fn start(bridge: &Bridge, request: Request) -> Result<Self, AgentError> {
        let key = request.key.clone().map_or_else(|| bridge.key(), Ok)?;
        let catalog = bridge.catalog(&key).await?;
        let Some(selection) = catalog.select(&request.model) else {
            return Err(AgentError::UnknownModel {
                model: request.model,
                available: catalog.ids(),
            });
        };
        let agent_id = agent_id().map_err(|error| AgentError::Failed {
            message: format!("no random numbers: {error}"),
        })?;
        let names = request.tools.iter().map(|tool| tool.name.clone()).collect();
        let (desk, calls) = bridge.calls().open(&agent_id, names);
        let options = options(&request, &agent_id, &key, json!(selection));
        let (server, _) = bridge
            .unary::<Value>("SdkAgentService/CreateAgent", &options, CREATE)
            .await
            .map_err(|error| failure_of(error, &request.model, &catalog))?;
        let session = Started {
            server,
            agent_id,
            request,
            catalog,
        };
        let (sender, heard) = mpsc::unbounded_channel();
        let started = AgentEvent::Started(Session {
            id: None,
            model_label: Some(selection.id),
            api_key_source: Some("bridge".to_owned()),
        });
        let _ = sender.send(Ok(vec![started]));
        let stop = CancellationToken::new();
        bridge.tracker().spawn(session.play(sender, stop.clone()));
        Ok(Self {
            desk,
            calls,
            heard,
            _stop: stop.drop_guard(),
        })
    }

    /// Waits for what happens next. Safe to cancel and call again. After
    /// [`AgentEvent::Finished`] the run is to be dropped.
    ///
    /// # Errors
    /// Why there is no result. All events have been delivered then.
    pub async fn next(&mut self) -> Result<Happened, AgentError> {
        tokio::select! {
            // What was said before a call is delivered before it.
            biased;
            heard = self.heard.recv() => match heard {
                Some(heard) => heard.map(Happened::Events),
                None => Err(lost()),
            },
            Some(Call { key, name, arguments }) = self.calls.recv() => {
                Ok(Happened::Called { key, name, arguments })
            }
        }
    }

    /// Answers a call.
    ///
    /// # Errors
    /// [`AgentError::Failed`] if the agent does not wait for this answer any more.
    pub fn reply(&self, key: u64, text: &str, is_error: bool) -> Result<(), AgentError> {
        if self.desk.reply(key, text, is_error) {
            return Ok(());
        }
        let message = "the agent does not wait for the result of this call any more".to_owned();
        Err(AgentError::Failed { message })
    }
}

fn lost() -> AgentError {
    AgentError::Failed {
        message: "the run was given up".to_owned(),
    }
}

fn failure_of(error: CallFailed, model: &str, catalog: &Catalog) -> AgentError {
    match error {
        CallFailed::Start(error) => error,
        CallFailed::Rpc(error) => failure::of_call(error, model, &catalog.ids()),
    }
}

/// Why a call of the bridge has no reply.
#[derive(Debug)]
pub(super) enum CallFailed {
    /// There is no bridge.
    Start(AgentError),
    /// It did not answer, or with an error.
    Rpc(RpcError),
}

/// A `CreateAgentRequest`: no settings of the user's or the project's, and no tool of Cursor's own.
fn options(request: &Request, agent_id: &str, key: &Key, model: Value) -> Value {
    let tools = request.tools.iter().map(|tool| {
        let definition = json!({"description": tool.description, "inputSchema": &*tool.schema});
        (tool.name.clone(), definition)
    });
    let offered = if request.tools.is_empty() {
        json!([])
    } else {
        json!(["mcp"])
    };
    json!({"options": {
        "agentId": agent_id,
        "apiKey": key.secret(),
        "model": model,
        "local": {
            "cwd": [request.workspace],
            "customTools": tools.collect::<Map<_, _>>(),
        },
        "tools": {"names": offered},
        // Sub-agents would get the custom tools too, and Cursor's own.
        "disallowedTools": ["task"],
    }})
}

fn message(request: &Request, agent_id: &str) -> Value {
    let images = request.images.iter().map(|image| {
        json!({"data": {"data": STANDARD.encode(&image.bytes), "mimeType": image.mime_type}})
    });
    json!({
        "agentId": agent_id,
        "message": {"text": &*request.prompt, "images": images.collect::<Vec<_>>()},
        "options": {"enableDeltas": true},
    })
}

/// 128 random bits in the form of a UUID.
fn agent_id() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let (a, b, c, d, e) = (
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    );
    Ok(format!("{a}-{b}-{c}-{d}-{e}"))
}

/// An agent that the bridge has made.
struct Started {
    server: Arc<Server>,
    agent_id: String,
    request: Request,
    catalog: Arc<Catalog>,
}

impl Started {
    /// Sends the message, reads the stream to its end, and cleans up.
    async fn play(self, heard: mpsc::UnboundedSender<Heard>, stop: CancellationToken) {
        let mut decoder = Decoder::new(&self.request.model, self.catalog.ids());
        let is_over = tokio::select! {
            read = self.read(&mut decoder, &heard) => {
                let is_over = read.is_ok();
                if let Err(error) = read {
                    let _ = heard.send(Err(error));
                }
                is_over
            }
            () = stop.cancelled() => false,
        };
        drop(heard);
        self.clean(decoder.run_id.filter(|_| !is_over)).await;
    }

    async fn read(
        &self,
        decoder: &mut Decoder,
        heard: &mpsc::UnboundedSender<Heard>,
    ) -> Result<(), AgentError> {
        let request = message(&self.request, &self.agent_id);
        let sent = self
            .server
            .client
            .stream("SdkAgentService/Send", &request)
            .await;
        let mut stream = match sent {
            Ok(stream) => stream,
            Err(error) => return Err(self.broken(error).await),
        };
        loop {
            let message = match stream.next().await {
                Ok(Some(message)) => message,
                Ok(None) => {
                    let message = "the bridge ended the stream of the run without a result";
                    return Err(AgentError::Failed {
                        message: message.to_owned(),
                    });
                }
                Err(error) => return Err(self.broken(error).await),
            };
            if let Some(tap) = &self.request.tap {
                tap.take(&message);
            }
            let mut events = Vec::new();
            decoder.message(&message, &mut events)?;
            let is_last = matches!(events.last(), Some(AgentEvent::Finished(RunResult { .. })));
            if !events.is_empty() {
                let _ = heard.send(Ok(events));
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// What a stream that failed means; if its process has ended, that is what counts.
    async fn broken(&self, error: RpcError) -> AgentError {
        if matches!(error, RpcError::Unreachable(_))
            && let Some(how) = self.server.end_within(NOTICE).await
        {
            let message = format!("the bridge ended in the middle of the run: {how}");
            return AgentError::Failed { message };
        }
        failure::of_call(error, &self.request.model, &self.catalog.ids())
    }

    /// Cancels the run if it is still going, and deletes the agent.
    async fn clean(&self, running: Option<String>) {
        if self.server.is_gone() {
            return;
        }
        let agent = json!({"agentId": self.agent_id});
        let delete = json!({"agentId": self.agent_id, "options": {"cwd": self.request.workspace}});
        let cancel = running.map(|run_id| {
            let cancel = json!({"runId": run_id, "agentId": self.agent_id});
            ("SdkAgentService/CancelRun", cancel)
        });
        let rest = [
            ("SdkAgentService/CloseAgent", agent),
            ("SdkAgentService/DeleteAgent", delete),
        ];
        for (method, request) in cancel.into_iter().chain(rest) {
            let done = self
                .server
                .client
                .unary::<Value>(method, &request, CLEAN)
                .await;
            if let Err(error) = done {
                tracing::debug!(method, %error, "the bridge did not clean up after a run");
            }
        }
    }
}
