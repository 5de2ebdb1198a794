//! A server for one test, in its runtime, on a free port.

use std::{
    ffi::OsString,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use open_cursor::{
    agent::{self, Agent, Env},
    boundary, dialect,
    engine::{AdmissionLimits, Budgets, Engine, EngineConfig, EstimateUsage, Turns, Workspaces},
    history::Ledger,
    http::{self, Address, App, Server, Shutdown, client},
    sandbox::{
        fence::{Fence, FenceConfig, FenceMode, ResourceLimits},
        slot::Places,
    },
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{
    Stream,
    fake_agent::{fake_agent, fake_bridge},
    wire::Wire,
};

/// A running server with the fake agent, and an empty workspace.
pub struct TestServer {
    /// Where the agent's slots and Cursor's own state are.
    pub home: tempfile::TempDir,
    pub addr: SocketAddr,
    pub app: Arc<App>,
    pub workspace: tempfile::TempDir,
    pub shutdown: Shutdown,
    pub task: tokio::task::JoinHandle<()>,
}

/// What a test may change before its server starts.
pub struct Setup {
    pub agent: agent::Setup,
    /// The program or kind of the agent.
    pub program: OsString,
    /// CURSOR_API_KEY.
    pub key: &'static str,
    pub engine: EngineConfig,
    pub http: http::HttpConfig,
    /// How many responses are kept.
    pub stored: usize,
    pub history: Option<Ledger>,
}

/// A complete answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: hyper::HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The answer's text, which must be a complete chat completion.
    pub fn message(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        let typed: async_openai::types::chat::CreateChatCompletionResponse =
            serde_json::from_str(&self.body).unwrap();
        assert_eq!(typed.choices.len(), 1);
        self.json()["choices"][0]["message"].clone()
    }
}

impl TestServer {
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// A server with the fake bridge.
    pub async fn bridge(change: impl FnOnce(&mut Setup)) -> Self {
        Self::with(|setup| {
            setup.program = "bridge".into();
            setup.engine.turns = Turns::Auto;
            setup.key = "key_good";
            setup.agent.bridge = Some(fake_bridge().into());
            change(setup);
        })
        .await
    }

    pub async fn with_budgets(first_event: Duration, idle: Duration) -> Self {
        Self::with(|setup| {
            setup.engine.budgets = Budgets {
                first_event,
                idle,
                total: None,
            };
        })
        .await
    }

    pub async fn with(change: impl FnOnce(&mut Setup)) -> Self {
        let workspace = tempfile::tempdir().unwrap();
        let host = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let mut setup = Setup {
            engine: EngineConfig {
                workspaces: Workspaces {
                    fixed: Some(workspace.path().canonicalize().unwrap()),
                    ..Workspaces::default()
                },
                limits: AdmissionLimits::default(),
                budgets: Budgets::default(),
                estimate_usage: EstimateUsage::Auto,
                turns: Turns::Respawn,
                park_timeout: Duration::from_secs(1800),
                boundary: boundary::BoundaryOptions::default(),
                client_tools: true,
                callers: None,
                exec: None,
            },
            http: http::HttpConfig::new(host),
            stored: 0,
            history: None,
            agent: agent::Setup {
                fence: FenceMode::Auto,
                limits: ResourceLimits::default(),
                slots: 8,
                launcher: env!("CARGO_BIN_EXE_open-cursor").into(),
                workspace: None,
                probed: None,
                bridge: None,
                serve_tools: None,
                carriers: None,
            },
            program: fake_agent().into(),
            key: "",
        };
        setup.agent.workspace = setup.engine.workspaces.fixed.clone();
        change(&mut setup);
        setup.agent.probed = probed(&setup.agent).await;
        let home = tempfile::tempdir().unwrap();
        let private = ["HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"]
            .map(|name| (name.into(), home.path().as_os_str().to_owned()));
        let key = ("CURSOR_API_KEY".into(), setup.key.into());
        let env: Env = std::env::vars_os().chain(private).chain([key]).collect();
        let agent = Agent::discover(Some(&setup.program), &env, setup.agent)
            .await
            .unwrap();
        agent.learn_serving().await;
        let server = Server::bind(host, 0).await.unwrap();
        let Address::Tcp(addr) = *server.address() else {
            unreachable!("it was bound to an address")
        };
        let engine = Engine::new(agent, setup.engine, None);
        let dialects = dialect::all(setup.stored);
        let app = Arc::new(App::new(engine, setup.http, dialects, setup.history));
        let shutdown = Shutdown {
            drain: CancellationToken::new(),
            now: CancellationToken::new(),
            grace: Duration::from_secs(1),
        };
        let task = tokio::spawn(server.run(Arc::clone(&app), shutdown.clone()));
        Self {
            home,
            addr,
            app,
            workspace,
            shutdown,
            task,
        }
    }

    /// Whether a file in the view of one of its agents holds the text.
    pub fn view_holds(&self, name: &str, text: &str) -> bool {
        // Where the home's file system takes no view, the slots are elsewhere.
        let Ok(slots) = std::fs::read_dir(self.home.path().join("open-cursor/slots")) else {
            return self.app.engine().running() == 1;
        };
        slots.flatten().any(|slot| {
            let file = slot.path().join("layers/0/upper").join(name);
            std::fs::read_to_string(file).is_ok_and(|held| held.contains(text))
        })
    }

    /// The processes of this server's agents, whatever they are: each has the home in its
    /// environment. A process without one has ended.
    pub fn agents(&self) -> Vec<String> {
        let home = self.home.path().to_str().unwrap();
        let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let of_ours = processes.filter_map(|process| {
            let read = |file: &str| std::fs::read(process.path().join(file)).unwrap_or_default();
            let is_ours = String::from_utf8_lossy(&read("environ")).contains(home);
            is_ours.then(|| String::from_utf8_lossy(&read("cmdline")).replace('\0', " "))
        });
        of_ours.collect()
    }

    /// From now on, the scenario `fake-play` prints this file.
    pub fn play(&self, file: &Path) {
        std::fs::copy(file, self.workspace.path().join("play.ndjson")).unwrap();
    }

    /// From now on, the scenario `fake-play` answers with these deltas.
    pub fn say(&self, deltas: &[&str]) {
        let whole = deltas.concat();
        let recap = json!({"role": "assistant", "content": [{"type": "text", "text": whole}]});
        let end = [
            json!({"type": "assistant", "message": recap, "session_id": "s"}),
            json!({
                "type": "result", "subtype": "success", "is_error": false, "result": whole,
                "duration_ms": 1, "session_id": "s",
            }),
        ];
        self.say_and(deltas, &end);
    }

    /// From now on, the scenario `fake-play` says these deltas, prints these events and exits.
    pub fn say_and(&self, deltas: &[&str], end: &[Value]) {
        let delta = |text: &&str| {
            let message = json!({"role": "assistant", "content": [{"type": "text", "text": text}]});
            json!({"type": "assistant", "message": message, "session_id": "s", "timestamp_ms": 1})
        };
        let init = json!({"type": "system", "subtype": "init", "session_id": "s", "cwd": "/", "model": "m"});
        let lines = [init].into_iter().chain(deltas.iter().map(delta));
        let lines: String = lines
            .chain(end.iter().cloned())
            .map(|line| format!("{line}\n"))
            .collect();
        std::fs::write(self.workspace.path().join("play.ndjson"), lines).unwrap();
    }

    /// POST to chat completions with further headers, not streamed.
    pub async fn whole_with(&self, headers: &[(&str, &str)], body: &Value) -> Answer {
        let body = Some(body);
        self.send("/v1/chat/completions", headers, body).await
    }

    /// POST of a body, else GET, with further headers.
    pub async fn send(&self, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Answer {
        let stream = tokio::net::TcpStream::connect(self.addr).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        let method = if body.is_some() { "POST" } else { "GET" };
        let mut request = hyper::Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = request.body(Full::new(bytes::Bytes::from(body))).unwrap();
        finish(sender.send_request(request).await.unwrap()).await
    }

    /// POST to chat completions.
    pub async fn post(&self, body: &Value) -> hyper::Response<hyper::body::Incoming> {
        client::send(self.addr, "/v1/chat/completions", Some(body.to_string()))
            .await
            .unwrap()
    }

    /// POST to any path, read to the end.
    pub async fn post_to(&self, path: &str, body: &Value) -> Answer {
        let response = client::send(self.addr, path, Some(body.to_string())).await;
        finish(response.unwrap()).await
    }

    /// A request of any dialect, read to the end.
    pub async fn ask(&self, wire: &dyn Wire, request: &Value) -> Answer {
        let (path, body) = wire.send(request);
        self.post_to(&path, &body).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        finish(client::send(self.addr, path, None).await.unwrap()).await
    }

    /// A request that is not streamed.
    pub async fn whole(&self, body: &Value) -> Answer {
        finish(self.post(body).await).await
    }

    /// A streamed request, read to its end and checked.
    pub async fn stream(&self, body: &Value) -> Stream {
        let mut body = body.clone();
        body["stream"] = true.into();
        let answer = finish(self.post(&body).await).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.headers["content-type"], "text/event-stream");
        Stream::parse(&answer.body)
    }

    /// The streamed answer's status, if it is an error.
    pub async fn stream_status(&self, body: &Value) -> Answer {
        let mut body = body.clone();
        body["stream"] = true.into();
        finish(self.post(&body).await).await
    }
}

/// The fence of this machine, tried once per process; `None` for a server that wants another one, or where
/// a home's file system takes no view.
async fn probed(wanted: &agent::Setup) -> Option<Fence> {
    static PROBED: tokio::sync::OnceCell<Option<Fence>> = tokio::sync::OnceCell::const_new();
    let limits = ResourceLimits::default();
    if wanted.fence != FenceMode::Auto || wanted.limits != limits {
        return None;
    }
    let probe = || async {
        let home = tempfile::tempdir().unwrap();
        let get = |name: &str| (name == "HOME").then(|| home.path().into());
        let places = Places::from_env(get, &std::env::temp_dir());
        let config = FenceConfig {
            mode: FenceMode::Auto,
            launcher: wanted.launcher.clone(),
            limits,
        };
        let workspace = wanted.workspace.as_deref();
        let (fence, slots) = Fence::start(&config, &places, 1, workspace).await.unwrap();
        let slot = slots.acquire().await.unwrap();
        let is_at_home = slot
            .dirs()
            .chats()
            .starts_with(home.path().canonicalize().unwrap());
        is_at_home.then_some(fence)
    };
    PROBED.get_or_init(probe).await.clone()
}

async fn finish(response: hyper::Response<hyper::body::Incoming>) -> Answer {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

/// A request with one user message.
pub fn user(model: &str, text: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": text}]})
}

/// How many tool calls a message holds.
pub fn call_count(message: &Value) -> usize {
    message["tool_calls"].as_array().map_or(0, Vec::len)
}

/// Whether a process is running (a zombie is not).
pub fn process_exists(pid: u32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    !stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .trim_start()
        .starts_with('Z')
}

/// Waits until `condition` holds; fails after 10 s.
pub async fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} did not happen within 10 s");
}
