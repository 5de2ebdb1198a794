//! The HTTP side: services, streams, and calls back.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures::StreamExt;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Request, Response, StatusCode,
    body::{Frame, Incoming},
    client, server,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

use crate::play;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Where tools are called.
#[derive(Debug, Clone)]
pub struct Endpoint {
    pub url: String,
    pub token: String,
}

/// An agent.
#[derive(Debug, Clone)]
pub struct Agent {
    pub id: String,
    pub model: String,
    pub options: Value,
}

/// The state of the process.
pub struct Bridge {
    token: String,
    /// The names of the variables that it was started with.
    pub environment: Vec<String>,
    callback: Mutex<Option<Endpoint>>,
    agents: Mutex<HashMap<String, Agent>>,
    runs: Mutex<HashMap<String, CancellationToken>>,
    /// Every request so far: method and message.
    pub journal: Mutex<Vec<(String, Value)>>,
}

/// A Connect error: code, message, `SdkErrorCode`.
pub struct Failure(pub &'static str, pub String, pub Option<String>);

impl Failure {
    pub fn json(&self) -> Value {
        let mut error = json!({"code": self.0, "message": self.1});
        if let Some(code) = &self.2 {
            let debug = json!({"sdkErrorCode": code, "message": self.1, "requestId": "req-1", "retryAfter": "7s"});
            error["details"] =
                json!([{"type": "sdk.v1.SdkErrorDetails", "value": "", "debug": debug}]);
        }
        error
    }

    fn status(&self) -> StatusCode {
        match self.0 {
            "invalid_argument" | "failed_precondition" => StatusCode::BAD_REQUEST,
            "unauthenticated" => StatusCode::UNAUTHORIZED,
            "not_found" => StatusCode::NOT_FOUND,
            "resource_exhausted" => StatusCode::TOO_MANY_REQUESTS,
            "unimplemented" => StatusCode::NOT_IMPLEMENTED,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// What a run writes its stream to.
#[derive(Clone)]
pub struct Sink {
    frames: mpsc::UnboundedSender<(u8, Value)>,
    offset: Arc<Mutex<u32>>,
}

impl Sink {
    pub fn send(&self, mut message: Value) {
        let mut offset = self.offset.lock().unwrap();
        *offset += 1;
        if message
            .as_object()
            .is_some_and(|message| !message.is_empty())
        {
            message["offset"] = json!(offset.to_string());
        }
        let _ = self.frames.send((0, message));
    }

    pub fn end(&self, message: Value) {
        let _ = self.frames.send((2, message));
    }
}

impl Bridge {
    pub fn new(token: String, callback: Option<Endpoint>, environment: Vec<String>) -> Self {
        Self {
            token,
            environment,
            callback: Mutex::new(callback),
            agents: Mutex::default(),
            runs: Mutex::default(),
            journal: Mutex::default(),
        }
    }

    /// Calls a custom tool: the status and the body, whatever they are.
    pub async fn call(&self, request: Value) -> (StatusCode, Value) {
        let Endpoint { url, token } = self.callback.lock().unwrap().clone().expect("a callback");
        let authority = url
            .trim_start_matches("http://")
            .trim_end_matches('/')
            .to_owned();
        let stream = TcpStream::connect(&authority).await.unwrap();
        let (mut sender, connection) = client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        let request = Request::post("/sdk.v1.SdkCustomToolCallbackService/CallCustomTool")
            .header("host", &authority)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .header("connect-protocol-version", "1")
            .body(Full::new(Bytes::from(request.to_string())))
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap())
    }

    fn agent(&self, request: &Value) -> Result<Agent, Failure> {
        let id = request["agentId"].as_str().unwrap_or_default();
        let agents = self.agents.lock().unwrap();
        let unknown = || Failure("not_found", format!("Unknown agent: {id}"), None);
        agents.get(id).cloned().ok_or_else(unknown)
    }

    fn unary(&self, method: &str, request: &Value) -> Result<Value, Failure> {
        let key = |options: &Value| match options["apiKey"].as_str().unwrap_or_default() {
            "" => Err(Failure(
                "unauthenticated",
                "API key is required".to_owned(),
                None,
            )),
            "key_bad" => {
                let code = Some("SDK_ERROR_CODE_UNAUTHORIZED".to_owned());
                Err(Failure(
                    "unauthenticated",
                    "Invalid User API Key".to_owned(),
                    code,
                ))
            }
            _ => Ok(()),
        };
        match method {
            "SdkBridgeControlService/Ping" => Ok(json!({"message": "pong"})),
            "SdkBridgeControlService/GetVersion" => Ok(json!({
                "bridgeVersion": "0.0.0-fake", "protocolVersion": "sdk.v1", "capabilities": ["agent.create", "agent.send"],
            })),
            "SdkBridgeControlService/Shutdown" => {
                tokio::spawn(async {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    std::process::exit(0);
                });
                Ok(json!({}))
            }
            "SdkBridgeControlService/SetToolCallback" => {
                let text = |name: &str| request[name].as_str().unwrap_or_default().to_owned();
                let endpoint = Endpoint {
                    url: text("url"),
                    token: text("authToken"),
                };
                *self.callback.lock().unwrap() = (!endpoint.url.is_empty()).then_some(endpoint);
                Ok(json!({}))
            }
            "SdkCursorService/Me" => {
                key(&request["options"])?;
                Ok(
                    json!({"user": {"apiKeyName": "fake", "userId": "1", "userEmail": "fake@cursor.example"}}),
                )
            }
            "SdkCursorService/ListModels" => {
                key(&request["options"])?;
                Ok(play::models())
            }
            "SdkAgentService/CreateAgent" => {
                let options = &request["options"];
                key(options)?;
                let model = options["model"]["id"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned();
                play::refuse(&model)?;
                if options["local"]["customTools"]
                    .as_object()
                    .is_some_and(|tools| !tools.is_empty())
                    && self.callback.lock().unwrap().is_none()
                {
                    let message = "local.custom_tools requires a host tool callback server";
                    return Err(Failure("failed_precondition", message.to_owned(), None));
                }
                let id = options["agentId"].as_str().unwrap_or("agent-1").to_owned();
                let agent = Agent {
                    id: id.clone(),
                    model,
                    options: options.clone(),
                };
                self.agents.lock().unwrap().insert(id.clone(), agent);
                Ok(json!({"agentId": id, "model": options["model"]}))
            }
            "SdkAgentService/CancelRun" => {
                let id = request["runId"].as_str().unwrap_or_default();
                let runs = self.runs.lock().unwrap();
                let unknown = || Failure("not_found", format!("Unknown run: {id}"), None);
                runs.get(id).ok_or_else(unknown)?.cancel();
                Ok(json!({}))
            }
            "SdkAgentService/CloseAgent" => self.agent(request).map(|_| json!({})),
            "SdkAgentService/DeleteAgent" => {
                let agent = self.agent(request)?;
                self.agents.lock().unwrap().remove(&agent.id);
                Ok(json!({}))
            }
            other => Err(Failure("unimplemented", format!("no {other} here"), None)),
        }
    }

    fn send(self: &Arc<Self>, request: &Value) -> Result<Body, Failure> {
        let agent = self.agent(request)?;
        let run_id = format!("run-{}", agent.id);
        let cancelled = CancellationToken::new();
        self.runs
            .lock()
            .unwrap()
            .insert(run_id.clone(), cancelled.clone());
        let (frames, receiver) = mpsc::unbounded_channel();
        let sink = Sink {
            frames,
            offset: Arc::default(),
        };
        let run = play::Run {
            bridge: Arc::clone(self),
            agent,
            id: run_id,
            text: request["message"]["text"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            images: request["message"]["images"].clone(),
            sink,
            cancelled,
        };
        tokio::spawn(play::play(run));
        let receiver = futures::stream::unfold(receiver, |mut receiver| async {
            Some((receiver.recv().await?, receiver))
        });
        let frames = receiver.map(|(flag, message)| {
            let message = message.to_string();
            let length = u32::try_from(message.len()).unwrap().to_be_bytes();
            let frame = [&[flag][..], &length, message.as_bytes()].concat();
            Ok(Frame::data(Bytes::from(frame)))
        });
        Ok(StreamBody::new(frames).boxed_unsync())
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let authorized = request
            .headers()
            .get("authorization")
            .is_some_and(|value| value.as_bytes() == format!("Bearer {}", self.token).as_bytes());
        let method = request
            .uri()
            .path()
            .trim_start_matches("/sdk.v1.")
            .to_owned();
        let is_stream = request.headers()["content-type"] == "application/connect+json";
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let body = if is_stream { body.slice(5..) } else { body };
        let message: Value = serde_json::from_slice(&body).unwrap_or_else(|_| json!({}));
        self.journal
            .lock()
            .unwrap()
            .push((method.clone(), message.clone()));
        let answer = match (authorized, is_stream) {
            (false, _) => Err(Failure("unauthenticated", "Unauthorized".to_owned(), None)),
            (true, true) => self.send(&message),
            (true, false) => self
                .unary(&method, &message)
                .map(|reply| Full::from(reply.to_string()).boxed_unsync()),
        };
        let (status, body) = match answer {
            Ok(body) => (StatusCode::OK, body),
            // A stream has its error in the last frame.
            Err(failure) if is_stream => {
                let end = json!({"error": failure.json()}).to_string();
                let length = u32::try_from(end.len()).unwrap().to_be_bytes();
                let frame = [&[2][..], &length, end.as_bytes()].concat();
                (StatusCode::OK, Full::from(frame).boxed_unsync())
            }
            Err(failure) => (
                failure.status(),
                Full::from(failure.json().to_string()).boxed_unsync(),
            ),
        };
        let kind = if is_stream {
            "application/connect+json"
        } else {
            "application/json"
        };
        Response::builder()
            .status(status)
            .header("content-type", kind)
            .body(body)
            .unwrap()
    }
}

pub async fn serve(listener: TcpListener, bridge: Arc<Bridge>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let bridge = Arc::clone(&bridge);
        let service = service_fn(move |request| {
            let bridge = Arc::clone(&bridge);
            async move { Ok::<_, Infallible>(bridge.answer(request).await) }
        });
        tokio::spawn(
            server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
        );
    }
}
