//! The bridge's process, from its start to its end.
//!
//! It says where it listens in one line on stderr, whose shape is that of the package's own client:
//! a prefix and a JSON object. The line names the file with the token, so it is never logged.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use bytes::BytesMut;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::timeout;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use super::{
    callback::Callback,
    connect::{ConnectClient, RpcError},
    failure,
    home::Home,
    ready,
};
use crate::{
    agent::{AgentError, program::spawn_error},
    sandbox::process::{Exit, Process, SpawnSpec},
};

/// How long it may take to say that it is ready.
pub(super) const READY: Duration = Duration::from_secs(30);

/// How long it may take to answer a question about itself.
const CONTROL: Duration = Duration::from_secs(10);

/// How long the end of a process whose connection broke may take to be known.
const NOTICE: Duration = Duration::from_secs(1);

/// What this code speaks.
const PROTOCOL: &str = "sdk.v1";

/// How a bridge is started.
#[derive(Debug, Clone)]
pub(super) struct BridgeLaunch {
    /// The program; absolute.
    pub program: PathBuf,
    /// Its environment, without the API key: that goes with each request.
    pub env: Vec<(OsString, OsString)>,
    /// Where its private directory is made.
    pub root: PathBuf,
    /// How long it may take to be ready.
    pub ready: Duration,
}

impl BridgeLaunch {
    fn spec(&self, home: &Path, tmp: PathBuf, state: PathBuf) -> SpawnSpec {
        let store = json!({"type": "jsonl", "rootDir": state.join("agents")});
        let args = [
            "--host".into(),
            "127.0.0.1".into(),
            "--workspace".into(),
            home.into(),
            "--state-root".into(),
            state.into(),
            "--local-store".into(),
            store.to_string().into(),
        ];
        let mut env = self.env.clone();
        let secret = |name: &OsString| name == "CURSOR_API_KEY" || name == "CURSOR_AUTH_TOKEN";
        env.retain(|(name, _)| !secret(name) && name != "TMPDIR");
        env.push(("TMPDIR".into(), tmp.into()));
        env.push(("CURSOR_SDK_CLIENT_LANGUAGE".into(), "rust".into()));
        SpawnSpec {
            program: self.program.clone(),
            args: args.into(),
            env,
            cwd: home.to_owned(),
        }
    }
}

/// A running bridge. Dropping it ends its process group, in the background.
#[derive(Debug)]
pub(super) struct BridgeProcess {
    /// To call it.
    pub client: ConnectClient,
    /// What it said of itself.
    pub about: About,
    /// An empty directory for requests without a workspace.
    pub workspace: PathBuf,
    ended: Ended,
    _stop: DropGuard,
}

/// What is known of a running bridge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct About {
    /// The bridge's version.
    pub version: String,
    /// The process that serves.
    pub pid: u32,
    /// From its start to the first answer, in milliseconds.
    pub started_in_ms: u64,
}

/// Whether and how the process has ended.
#[derive(Debug, Clone, Default)]
struct Ended {
    gone: CancellationToken,
    how: Arc<OnceLock<(Instant, String)>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Version {
    bridge_version: String,
    protocol_version: String,
}

impl BridgeProcess {
    /// Starts the bridge, waits until it is ready, and tells it where to call tools. The tasks that
    /// look after it run on the tracker.
    ///
    /// # Errors
    /// [`AgentError::Spawn`], or [`AgentError::Failed`] with the end of its stderr.
    pub async fn start(
        launch: &BridgeLaunch,
        callback: &Callback,
        tracker: &TaskTracker,
    ) -> Result<Self, AgentError> {
        let begin = Instant::now();
        let root = launch.root.clone();
        let home = tokio::task::spawn_blocking(move || Home::make(&root)).await;
        let home = home.map_err(failed)?.map_err(|error| {
            let root = launch.root.display();
            failed(format!(
                "cannot make a directory for the bridge in {root}: {error}"
            ))
        })?;
        let spec = launch.spec(home.path(), home.tmp(), home.state());
        let workspace = home.workspace();
        let (tap, ready) = ready::tap();
        let process = Process::start_tapped(&spec, "".into(), tracker, Some(tap));
        let process = process.map_err(|error| spawn_error(&launch.program, &error))?;
        let leader = process.pid();
        let stop = CancellationToken::new();
        let ended = Ended::default();
        tracker.spawn(look_after(process, home, stop.clone(), ended.clone()));
        let stop = stop.drop_guard();
        // The tap is gone with the process: then there is no line, and its end says why.
        let line = timeout(launch.ready, async {
            match ready.await {
                Ok(line) => Ok(line),
                Err(_) => {
                    ended.gone.cancelled().await;
                    Err(ended.how())
                }
            }
        });
        let line = match line.await {
            Ok(Ok(line)) => line,
            Ok(Err(how)) => {
                return Err(failed(format!(
                    "the bridge ended before it was ready: {how}"
                )));
            }
            Err(_) => {
                let seconds = launch.ready.as_secs_f32();
                return Err(failed(format!(
                    "the bridge was not ready within {seconds} s"
                )));
            }
        };
        let (client, pid) = ready::endpoint(&line).await.map_err(failed)?;
        let register = json!({"url": callback.url(), "authToken": callback.token()});
        let control = |error| failure::of_call(error, "", &[]);
        client
            .unary::<serde_json::Value>(
                "SdkBridgeControlService/SetToolCallback",
                &register,
                CONTROL,
            )
            .await
            .map_err(control)?;
        let version: Version = client
            .unary("SdkBridgeControlService/GetVersion", &json!({}), CONTROL)
            .await
            .map_err(control)?;
        if version.protocol_version != PROTOCOL {
            return Err(failed(format!(
                "the bridge speaks {}, open-cursor speaks {PROTOCOL}: install another version of cursor-sdk",
                version.protocol_version
            )));
        }
        let about = About {
            version: version.bridge_version,
            pid: pid.unwrap_or(leader),
            started_in_ms: u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        tracing::info!(version = %about.version, pid = about.pid, ms = about.started_in_ms, "the bridge runs");
        Ok(Self {
            client,
            about,
            workspace,
            ended,
            _stop: stop,
        })
    }

    /// Whether the process has ended.
    pub fn is_gone(&self) -> bool {
        self.ended.gone.is_cancelled()
    }

    /// Whether an error is one of a process that has ended; waits a moment for that to be known.
    pub async fn ended(&self, error: &RpcError) -> bool {
        matches!(error, RpcError::Unreachable(_))
            && timeout(NOTICE, self.ended.gone.cancelled()).await.is_ok()
    }

    /// When the process ended.
    pub fn ended_at(&self) -> Option<Instant> {
        self.ended.how.get().map(|(at, _)| *at)
    }

    /// How the process ended, once it [has](Self::is_gone).
    pub fn how_it_ended(&self) -> String {
        self.ended.how()
    }
}

impl Ended {
    fn how(&self) -> String {
        self.how
            .get()
            .map(|(_, how)| how.clone())
            .unwrap_or_default()
    }
}

/// Drains stdout until the process ends or is to end, and then says how it went.
async fn look_after(mut process: Process, home: Home, stop: CancellationToken, ended: Ended) {
    let mut output = BytesMut::new();
    while !process.is_closed() {
        output.clear();
        output.reserve(4 << 10);
        tokio::select! {
            () = process.read(&mut output) => {}
            () = stop.cancelled() => {
                process.stop();
                break;
            }
        }
    }
    let exit = process.exit().await;
    let how = how(exit);
    if !stop.is_cancelled() {
        tracing::warn!("the bridge has ended: {how}");
    }
    let _ = ended.how.set((Instant::now(), how));
    ended.gone.cancel();
    let _ = tokio::task::spawn_blocking(move || drop(home)).await;
}

/// The exit status and the end of stderr, without the line that is not to be shown.
fn how(exit: &Exit) -> String {
    let status = exit
        .status
        .map_or_else(|| "it was stopped".to_owned(), |status| status.to_string());
    let words: Vec<&str> = exit
        .stderr
        .lines()
        .filter(|line| !line.starts_with(ready::PREFIX))
        .collect();
    match words.join("\n").trim() {
        "" => status,
        words => format!("{status}: {words}"),
    }
}

fn failed(message: impl ToString) -> AgentError {
    AgentError::Failed(message.to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
