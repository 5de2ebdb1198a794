//! Cursor's SDK bridge as an agent: a local server that runs many agents in one process.
//!
//! ```text
//! locate ─> Bridge ─ start(Request) ─> BridgeRun ─ next() ─> events, and calls that wait
//!             │  shared: one process (server), started on first use       │ reply()
//!             │  connect: requests and streams as JSON over loopback      │ drop: CancelRun, DeleteAgent
//!             └─ callback: the listener it calls the client's tools on ──> calls: which run a call is for
//! ```
//!
//! The bridge is Cursor's, documented for languages without an SDK (`sdk.v1`, the `.proto` files of
//! the package `cursor-sdk`). It needs an API key, which goes with each request and never into its
//! environment. Nothing here knows a client, a dialect or what a prompt is made of.

mod callback;
mod calls;
mod connect;
mod decode;
mod failure;
mod home;
mod key;
mod locate;
mod models;
mod run;
mod server;
mod shared;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;
use tokio_util::task::TaskTracker;

use calls::Calls;
use connect::RpcError;
use models::{Catalog, ListModels};
use run::CallFailed;
use server::{Launch, Server};
use shared::Shared;

use super::{AgentError, Env};

pub use key::{FoundKey, Key, NoKey, find as find_key};
pub use locate::{NAME, VARIABLE, choice_file, data_dir, locate};
pub use run::{BridgeRun, Happened, Image, Request, Tool};
pub use server::About;

/// How long the list of models is good for.
const FRESH: Duration = Duration::from_secs(600);

/// How long Cursor may take to list them.
const LIST: Duration = Duration::from_secs(30);

/// Lists that are kept, one for each key.
const LISTS: usize = 64;

/// A bridge that can be started. Clones share its process.
#[derive(Debug, Clone)]
pub struct Bridge {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    program: PathBuf,
    key: Result<FoundKey, NoKey>,
    shared: Shared,
    calls: Calls,
    lists: Mutex<Vec<(Key, Instant, Arc<Catalog>)>>,
    tracker: TaskTracker,
}

impl Bridge {
    /// A bridge that is started when it is first needed. `key` is for requests that bring none.
    #[must_use]
    pub fn new(program: PathBuf, env: &Env, key: Result<FoundKey, NoKey>) -> Self {
        let launch = Launch::new(program, env.for_agent(&[]), home::root(env));
        Self::launching(launch, key)
    }

    fn launching(launch: Launch, key: Result<FoundKey, NoKey>) -> Self {
        let tracker = TaskTracker::new();
        Self {
            inner: Arc::new(Inner {
                program: launch.program.clone(),
                key,
                shared: Shared::new(launch, tracker.clone()),
                calls: Calls::default(),
                lists: Mutex::default(),
                tracker,
            }),
        }
    }

    /// The program.
    #[must_use]
    pub fn program(&self) -> &std::path::Path {
        &self.inner.program
    }

    /// The key that is used where a request brings none.
    ///
    /// # Errors
    /// [`NoKey`].
    pub fn found_key(&self) -> Result<&FoundKey, &NoKey> {
        self.inner.key.as_ref()
    }

    /// Starts the process if it does not run.
    ///
    /// # Errors
    /// Why it does not start.
    pub async fn about(&self) -> Result<About, AgentError> {
        let server = self.inner.shared.server(&self.inner.calls).await?;
        Ok(server.about.clone())
    }

    /// What is known of the process, if it runs.
    pub async fn running(&self) -> Option<About> {
        self.inner.shared.about().await
    }

    /// Starts a run.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub async fn start(&self, request: Request) -> Result<BridgeRun, AgentError> {
        BridgeRun::start(self, request).await
    }

    /// The account's models, in the form of the CLI's `models`; always asked anew.
    ///
    /// # Errors
    /// What Cursor says instead.
    pub async fn models(&self) -> Result<String, AgentError> {
        let key = self.key()?;
        self.lists().retain(|(known, _, _)| *known != key);
        Ok(self.catalog(&key).await?.listing())
    }

    /// Ends the process, once no run holds it, and waits until nothing is left of either.
    pub async fn close(&self) {
        self.inner.shared.close().await;
        self.inner.tracker.close();
        self.inner.tracker.wait().await;
    }

    fn key(&self) -> Result<Key, AgentError> {
        match &self.inner.key {
            Ok(found) => Ok(found.key.clone()),
            Err(error) => Err(AgentError::NotLoggedIn {
                message: error.to_string(),
            }),
        }
    }

    async fn catalog(&self, key: &Key) -> Result<Arc<Catalog>, AgentError> {
        let known = self.lists().iter().find_map(|(known, since, catalog)| {
            (known == key && since.elapsed() < FRESH).then(|| Arc::clone(catalog))
        });
        if let Some(catalog) = known {
            return Ok(catalog);
        }
        let request = json!({"options": {"apiKey": key.secret()}});
        let listed = self.unary::<ListModels>("SdkCursorService/ListModels", &request, LIST);
        let (_, list) = listed.await.map_err(|error| match error {
            CallFailed::Start(error) => error,
            CallFailed::Rpc(error) => failure::of_call(error, "", &[]),
        })?;
        let catalog = Arc::new(Catalog::from(list));
        let mut lists = self.lists();
        lists.retain(|(known, _, _)| known != key);
        if lists.len() >= LISTS {
            lists.remove(0);
        }
        lists.push((key.clone(), Instant::now(), Arc::clone(&catalog)));
        Ok(catalog)
    }

    /// Calls the bridge. One that has just ended is started again, once: what it was asked did not
    /// happen, or is gone with it.
    async fn unary<R: DeserializeOwned>(
        &self,
        method: &'static str,
        request: &impl Serialize,
        limit: Duration,
    ) -> Result<(Arc<Server>, R), CallFailed> {
        let mut is_first = true;
        loop {
            let server = self.inner.shared.server(&self.inner.calls).await;
            let server = server.map_err(CallFailed::Start)?;
            match server.client.unary(method, request, limit).await {
                Ok(reply) => return Ok((server, reply)),
                Err(RpcError::Unreachable(_))
                    if is_first && server.end_within(Duration::from_secs(1)).await.is_some() =>
                {
                    is_first = false;
                }
                Err(error) => return Err(CallFailed::Rpc(error)),
            }
        }
    }

    fn calls(&self) -> &Calls {
        &self.inner.calls
    }

    fn tracker(&self) -> &TaskTracker {
        &self.inner.tracker
    }

    fn lists(&self) -> std::sync::MutexGuard<'_, Vec<(Key, Instant, Arc<Catalog>)>> {
        self.inner
            .lists
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
