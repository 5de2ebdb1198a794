//! Cursor's SDK bridge as an agent: a local server that runs many agents in one process.
//!
//! ```text
//! locate ─> Bridge ─ start(RunRequest) ─> BridgeRun ─ next() ─> events, and calls that wait
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
mod catalogs;
mod connect;
mod decode;
mod failure;
mod frames;
mod home;
mod key;
mod locate;
mod measure;
mod models;
mod new_agent;
mod ready;
mod run;
mod server;
mod shared;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;

use catalogs::Catalogs;
use models::{BridgeModels, ListModels};
use server::BridgeLaunch;
use shared::SharedBridge;

use super::{AgentError, Env};
use crate::turn::CallerKey;

pub use key::{FoundKey, NoKey, find as find_key};
pub use locate::{NAME, VARIABLE, choice_file, data_dir, locate};
pub use measure::{Measured, PROMPT, measure};
pub use run::BridgeRun;
pub use server::About;

/// How long Cursor may take to list them.
const LIST: Duration = Duration::from_secs(30);

/// A bridge that can be started. Clones share its process.
#[derive(Debug, Clone)]
pub struct Bridge {
    inner: Arc<BridgeInner>,
}

#[derive(Debug)]
struct BridgeInner {
    key: Result<FoundKey, NoKey>,
    shared: SharedBridge,
    catalogs: Catalogs,
}

impl Bridge {
    /// A bridge that is started when it is first needed.
    #[must_use]
    pub fn new(program: PathBuf, env: &Env, key: Result<FoundKey, NoKey>) -> Self {
        let launch = BridgeLaunch {
            program,
            env: env.for_agent(&[]),
            root: home::root(env),
            ready: server::READY,
        };
        Self {
            inner: Arc::new(BridgeInner {
                key,
                shared: SharedBridge::new(launch),
                catalogs: Catalogs::default(),
            }),
        }
    }

    /// The program.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.inner.shared.launch.program
    }

    /// The key that runs use.
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
        Ok(self.inner.shared.server().await?.about.clone())
    }

    /// What is known of the process, if it runs.
    #[must_use]
    pub fn running(&self) -> Option<About> {
        self.inner.shared.about()
    }

    /// The account's models, in the form of the CLI's `models`; always asked anew.
    ///
    /// # Errors
    /// What Cursor says instead.
    pub async fn models(&self, key: Option<&CallerKey>) -> Result<String, AgentError> {
        let key = self.key(key)?;
        *self.inner.catalogs.of(key).lock().await = None;
        Ok(self.catalog(key).await?.listing())
    }

    /// Ends the process, once no run holds it, and waits until nothing is left of either.
    pub async fn close(&self) {
        self.inner.shared.close().await;
    }

    /// The caller's key, else ours.
    fn key<'a>(&'a self, caller: Option<&'a CallerKey>) -> Result<&'a str, AgentError> {
        if let Some(caller) = caller {
            return Ok(caller.secret());
        }
        let key = self.inner.key.as_ref().map(|found| found.key.secret());
        key.map_err(|error| AgentError::NotLoggedIn(error.to_string()))
    }

    async fn catalog(&self, key: &str) -> Result<Arc<BridgeModels>, AgentError> {
        let known = self.inner.catalogs.of(key);
        let mut known = known.lock().await;
        if let Some((since, catalog)) = &*known
            && since.elapsed() < catalogs::FRESH
        {
            return Ok(Arc::clone(catalog));
        }
        let request = json!({"options": {"apiKey": key}});
        let mut may_repeat = true;
        let list = loop {
            let server = self.inner.shared.server().await?;
            let listed =
                server
                    .client
                    .unary::<ListModels>("SdkCursorService/ListModels", &request, LIST);
            match listed.await {
                Ok(list) => break list,
                // What it was asked is gone with it, so it can be asked again.
                Err(error) if std::mem::take(&mut may_repeat) && server.ended(&error).await => {}
                Err(error) => return Err(failure::of_call(error, "", &[])),
            }
        };
        let catalog = Arc::new(BridgeModels::from(list));
        *known = Some((Instant::now(), Arc::clone(&catalog)));
        Ok(catalog)
    }
}
