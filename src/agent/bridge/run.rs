//! A run: an agent of its own, one message, and the stream of what becomes of it.
//!
//! One task reads the stream whether or not somebody listens, since the bridge drops a reader that
//! falls behind, and cleans up after the run: what is left running is cancelled, and the agent is
//! deleted with all that the bridge keeps of it.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Bridge,
    calls::{BridgeCall, Desk, Incoming},
    connect::RpcError,
    decode::Decoder,
    failure,
    models::BridgeModels,
    new_agent::NewAgent,
    server::BridgeProcess,
};
use crate::{
    agent::{AgentError, AgentEvent, CallKey, RunRequest, Session, Siblings, Site},
    mcp,
    turn::{Attachment, ToolResult},
};

/// How long the bridge may take to make an agent; it asks Cursor about the key.
const CREATE: Duration = Duration::from_secs(60);

/// How long each step of cleaning up may take.
const CLEAN: Duration = Duration::from_secs(5);

/// How long a call waits for the stream to announce it.
const ANNOUNCED: Duration = Duration::from_millis(200);

/// A running agent. Dropping it cancels the run and deletes the agent, in the background; calls that
/// wait get an error first.
#[derive(Debug)]
pub struct BridgeRun {
    desk: Desk,
    calls: mpsc::UnboundedReceiver<Incoming>,
    heard: mpsc::UnboundedReceiver<Heard>,
    /// Whether the agent has tools to call.
    serves: bool,
    /// The calls that the stream has announced and that have not come.
    announced: HashSet<String>,
    /// The calls that have come, by their ids.
    called: HashMap<String, u64>,
    /// The ids of all calls that were announced, in the order of the model.
    order: Vec<String>,
    /// Calls that came before the stream has announced them, and until when that is waited for.
    early: VecDeque<(Instant, BridgeCall)>,
    _stop: DropGuard,
}

/// What the stream said, and the calls that were announced with it; or why it says nothing more.
type Heard = Result<(Vec<AgentEvent>, Vec<String>), AgentError>;

impl Bridge {
    /// Makes an agent and sends it the message, which `prompt` writes once it is known where it runs.
    ///
    /// # Errors
    /// Why there is no run: no bridge, no key, no such model, or what Cursor says.
    pub async fn start(
        &self,
        request: RunRequest,
        prompt: impl FnOnce(&Site) -> String + Send,
    ) -> Result<(BridgeRun, Site), AgentError> {
        let key = request.key.clone();
        let key = self.key(key.as_ref())?;
        let catalog = self.catalog(key).await?;
        let shared = &self.inner.shared;
        let Some(selection) = catalog.select(&request.model) else {
            return Err(AgentError::UnknownModel {
                model: request.model,
                available: catalog.ids(),
            });
        };
        let mut may_repeat = true;
        let (server, agent, desk, calls) = loop {
            let server = shared.server().await?;
            let agent = NewAgent::new(&request, &server);
            let (desk, calls) = shared.calls.open(&agent.id, agent.names.clone());
            let options = agent.options(&request, key, &selection);
            let made =
                server
                    .client
                    .unary::<Value>("SdkAgentService/CreateAgent", &options, CREATE);
            match made.await {
                Ok(_) => break (server, agent, desk, calls),
                Err(error) if std::mem::take(&mut may_repeat) && server.ended(&error).await => {}
                Err(error) => return Err(failure::of_call(error, &request.model, &catalog.ids())),
            }
        };
        let site = Site {
            workspace: agent.workspace.clone(),
            files: Vec::new(),
            served: agent.served(),
        };
        let message = agent.message(&prompt(&site), &request);
        let (sender, heard) = mpsc::unbounded_channel();
        let started = AgentEvent::Started(Box::new(Session {
            id: None,
            api_key_source: Some("bridge".to_owned()),
        }));
        let _ = sender.send(Ok((vec![started], Vec::new())));
        let serves = !request.tools.is_empty();
        let playing = Playing {
            server,
            agent,
            request,
            catalog,
            heard: sender,
        };
        let stop = CancellationToken::new();
        shared.tracker.spawn(playing.play(message, stop.clone()));
        let run = BridgeRun {
            desk,
            calls,
            heard,
            serves,
            announced: HashSet::new(),
            called: HashMap::new(),
            order: Vec::new(),
            early: VecDeque::new(),
            _stop: stop.drop_guard(),
        };
        Ok((run, site))
    }
}

impl BridgeRun {
    /// See [`AgentRun::next`](crate::agent::AgentRun::next).
    pub(in crate::agent) async fn next(
        &mut self,
        events: &mut Vec<AgentEvent>,
    ) -> Result<(), AgentError> {
        let before = events.len();
        while events.len() == before {
            let overdue = self.early.front().map(|(until, _)| *until);
            tokio::select! {
                biased;
                heard = self.heard.recv() => {
                    let lost = || Err(AgentError::Failed("the run was given up".to_owned()));
                    let (said, announced) = heard.unwrap_or_else(lost)?;
                    events.extend(said);
                    self.announce(announced, events);
                }
                Some(incoming) = self.calls.recv() => match incoming {
                    Incoming::Called(call) => self.take(call, events),
                    Incoming::GivenUp(key) => {
                        self.early.retain(|(_, call)| call.key != key);
                        events.push(AgentEvent::CallGivenUp(CallKey(key)));
                    }
                },
                () = sleep_until(overdue.unwrap_or_else(Instant::now)), if overdue.is_some() => {
                    if let Some((_, call)) = self.early.pop_front() {
                        self.request(call, events);
                    }
                }
            }
        }
        Ok(())
    }

    /// A call is a request of its own, which can overtake what the stream said before it. The stream
    /// announces it, so that its place is known.
    fn take(&mut self, call: BridgeCall, events: &mut Vec<AgentEvent>) {
        let is_known = |id: &String| self.announced.contains(id);
        if call.id.as_ref().is_some_and(is_known) {
            self.request(call, events);
        } else {
            self.early.push_back((Instant::now() + ANNOUNCED, call));
        }
    }

    /// Notes what was announced, and delivers the calls that have come before.
    fn announce(&mut self, ids: Vec<String>, events: &mut Vec<AgentEvent>) {
        for id in ids {
            if !self.order.contains(&id) {
                self.order.push(id.clone());
            }
            if self.called.contains_key(&id) {
                continue;
            }
            let same = |(_, call): &(Instant, BridgeCall)| call.id.as_ref() == Some(&id);
            let early = self.early.iter().position(same);
            let call = early.and_then(|place| self.early.remove(place));
            self.announced.insert(id);
            if let Some((_, call)) = call {
                self.request(call, events);
            }
        }
    }

    fn request(&mut self, call: BridgeCall, events: &mut Vec<AgentEvent>) {
        if let Some(id) = call.id {
            self.announced.remove(&id);
            self.called.insert(id, call.key);
        }
        events.push(AgentEvent::ToolRequested {
            key: CallKey(call.key),
            name: call.name,
            arguments: Box::new(call.arguments),
        });
    }

    pub(in crate::agent) fn reply(&self, key: CallKey, result: &ToolResult, files: &[Attachment]) {
        if !self.desk.reply(key.0, mcp::of_result(result, files)) {
            tracing::debug!("the agent does not wait for this result any more");
        }
    }

    pub(in crate::agent) fn can_wait(&self) -> bool {
        self.serves
    }

    pub(in crate::agent) fn place(&self, key: CallKey) -> Option<usize> {
        let (id, _) = self.called.iter().find(|(_, called)| **called == key.0)?;
        self.order.iter().position(|announced| announced == id)
    }

    pub(in crate::agent) fn siblings(&self) -> Siblings {
        match self.announced.is_empty() {
            true => Siblings::Unknown,
            false => Siblings::Announced,
        }
    }
}

/// An agent that the bridge has made, and its message.
struct Playing {
    server: Arc<BridgeProcess>,
    agent: NewAgent,
    request: RunRequest,
    catalog: Arc<BridgeModels>,
    heard: mpsc::UnboundedSender<Heard>,
}

impl Playing {
    /// Sends the message, reads the stream to its end, and cleans up.
    async fn play(self, message: Value, stop: CancellationToken) {
        let mut decoder = Decoder::new(&self.request.model, self.catalog.ids());
        let is_over = tokio::select! {
            read = self.read(message, &mut decoder) => {
                let is_over = read.is_ok();
                if let Err(error) = read {
                    let _ = self.heard.send(Err(error));
                }
                is_over
            }
            () = stop.cancelled() => false,
        };
        self.clean(decoder.run_id.filter(|_| !is_over)).await;
    }

    async fn read(&self, message: Value, decoder: &mut Decoder) -> Result<(), AgentError> {
        let sent = self.server.client.stream("SdkAgentService/Send", &message);
        let mut stream = match sent.await {
            Ok(stream) => stream,
            Err(error) => return Err(self.broken(error).await),
        };
        // It can be megabytes.
        drop(message);
        loop {
            let message = match stream.next().await {
                Ok(message) => message.ok_or_else(|| {
                    let message = "the bridge ended the stream of the run without a result";
                    AgentError::Failed(message.to_owned())
                })?,
                Err(error) => return Err(self.broken(error).await),
            };
            if let Some(tap) = &self.request.tap {
                tap.take(&message);
            }
            let mut events = Vec::new();
            let decoded = decoder.message(&message, &mut events);
            let is_last = matches!(events.last(), Some(AgentEvent::Finished(_)));
            if !events.is_empty() {
                let announced = std::mem::take(&mut decoder.announced);
                let _ = self.heard.send(Ok((events, announced)));
            }
            decoded?;
            if is_last {
                return Ok(());
            }
        }
    }

    /// What a stream that failed means; if its process has ended, that is what counts.
    async fn broken(&self, error: RpcError) -> AgentError {
        if self.server.ended(&error).await {
            let how = self.server.how_it_ended();
            let message = format!("the bridge ended in the middle of the run: {how}");
            return AgentError::Failed(message);
        }
        failure::of_call(error, &self.request.model, &self.catalog.ids())
    }

    /// Cancels the run if it is still going, and deletes the agent.
    async fn clean(&self, running: Option<String>) {
        if self.server.is_gone() {
            return;
        }
        let NewAgent { id, workspace, .. } = &self.agent;
        let cancel = running.map(|run_id| {
            let cancel = json!({"runId": run_id, "agentId": id});
            ("SdkAgentService/CancelRun", cancel)
        });
        let close = json!({"agentId": id});
        let delete = json!({"agentId": id, "options": {"cwd": workspace}});
        let rest = [
            ("SdkAgentService/CloseAgent", close),
            ("SdkAgentService/DeleteAgent", delete),
        ];
        for (method, request) in cancel.into_iter().chain(rest) {
            let done = self.server.client.unary::<Value>(method, &request, CLEAN);
            if let Err(error) = done.await {
                tracing::debug!(method, %error, "the bridge did not clean up after a run");
            }
        }
    }
}
