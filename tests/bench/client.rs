//! The load client: one connection, requests one after the other, and what came back when.

use anyhow::{Context, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpStream;

use crate::agent::{DIGITS, MARK, Mode, now};

/// How much of a response's end is kept.
const TAIL: usize = 2048;
const DONE: &[u8] = b"data: [DONE]\n\n";

/// A connection to a server.
pub struct Client {
    sender: SendRequest<Full<Bytes>>,
}

/// What a response brought, in nanoseconds.
#[derive(Default)]
pub struct Received {
    /// When the request was sent.
    pub sent: u64,
    /// When the first delta arrived.
    pub first: u64,
    /// When `[DONE]` arrived, or else the end of the body.
    pub end: u64,
    /// How long each delta took from the agent to here.
    pub delays: Vec<u64>,
    /// The last bytes of the body.
    pub tail: Vec<u8>,
}

impl Client {
    /// Connects.
    pub async fn connect(port: u16) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { sender })
    }

    /// Whether the server calls itself healthy.
    pub async fn is_healthy(&mut self) -> anyhow::Result<bool> {
        let request = Request::get("/health").header("host", "127.0.0.1");
        let response = self
            .sender
            .send_request(request.body(Full::default())?)
            .await?;
        let healthy = response.status() == StatusCode::OK;
        response.into_body().collect().await?;
        Ok(healthy)
    }

    /// Asks for a mode's stream; the body is still to be read.
    pub async fn ask(&mut self, mode: Mode) -> anyhow::Result<Response<Incoming>> {
        let request = Request::post("/v1/chat/completions")
            .header("host", "127.0.0.1")
            .header("content-type", "application/json")
            .body(Full::from(request_body(mode)))?;
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        if response.status() != StatusCode::OK {
            let status = response.status();
            let body = response.into_body().collect().await?.to_bytes();
            anyhow::bail!(
                "{}: {status}: {}",
                mode.model(),
                String::from_utf8_lossy(&body)
            );
        }
        Ok(response)
    }

    /// Asks and reads all of it; `deltas` of them must arrive, no more and no fewer.
    pub async fn receive(&mut self, mode: Mode, deltas: usize) -> anyhow::Result<Received> {
        let mut received = Received {
            sent: now(),
            ..Received::default()
        };
        received.delays.reserve(deltas);
        let mut body = self.ask(mode).await?.into_body();
        let mut marks = Marks::default();
        while let Some(frame) = body.frame().await {
            let frame = frame.context("the stream broke")?;
            let Some(data) = frame.data_ref() else {
                continue;
            };
            received.take(data, &mut marks);
        }
        if received.end == 0 {
            received.end = now();
        }
        let seen = received.delays.len();
        ensure!(
            seen == deltas,
            "{}: {seen} deltas of {deltas} arrived",
            mode.model()
        );
        Ok(received)
    }
}

impl Received {
    fn take(&mut self, data: &[u8], marks: &mut Marks) {
        let time = now();
        marks.find(data, |stamp| self.delays.push(time.saturating_sub(stamp)));
        if self.first == 0 && !self.delays.is_empty() {
            self.first = time;
        }
        self.tail
            .extend_from_slice(&data[data.len().saturating_sub(TAIL)..]);
        self.tail.drain(..self.tail.len().saturating_sub(TAIL));
        if self.end == 0 && self.tail.ends_with(DONE) {
            self.end = time;
        }
    }

    /// The count of prompt tokens in the usage chunk, where the agent hides the time of `result`.
    pub fn prompt_tokens(&self) -> anyhow::Result<u64> {
        let tail = String::from_utf8_lossy(&self.tail);
        let (_, after) = tail
            .split_once(r#""prompt_tokens":"#)
            .context("no usage in the stream")?;
        let digits = after
            .trim_start()
            .split(|c: char| !c.is_ascii_digit())
            .next();
        Ok(digits.unwrap_or_default().parse()?)
    }
}

/// Finds stamps in a body however it is cut, in whatever format it comes.
#[derive(Default)]
struct Marks {
    /// The digits so far of a stamp that has begun.
    open: Option<(u64, usize)>,
}

impl Marks {
    fn find(&mut self, mut data: &[u8], mut found: impl FnMut(u64)) {
        loop {
            let (mut stamp, mut digits) = match self.open.take() {
                Some(open) => open,
                None => match memchr::memchr(MARK, data) {
                    Some(at) => {
                        data = &data[at + 1..];
                        (0, 0)
                    }
                    None => return,
                },
            };
            while digits < DIGITS {
                let Some((&digit, rest)) = data.split_first() else {
                    self.open = Some((stamp, digits));
                    return;
                };
                stamp = stamp * 10 + u64::from(digit - b'0');
                digits += 1;
                data = rest;
            }
            found(stamp);
        }
    }
}

/// A request such as an agent program sends: a long system prompt, ten tools, a short question.
fn request_body(mode: Mode) -> Vec<u8> {
    let property = json!({"type": "string", "description": "What it is for, in some words."});
    let parameters = json!({"type": "object", "properties": {"path": property, "text": property}});
    let tool = |number| {
        let name = format!("tool{number}");
        let description = "What the tool does and when to use it. ".repeat(20);
        json!({"type": "function", "function":
            {"name": name, "description": description, "parameters": parameters}})
    };
    let body = json!({
        "model": mode.model(),
        "stream": true,
        "stream_options": {"include_usage": true},
        "messages": [
            {"role": "system", "content": "You are an agent. Mind these rules. ".repeat(400)},
            {"role": "user", "content": "Say something."},
        ],
        "tools": (0..10).map(tool).collect::<Vec<_>>(),
    });
    body.to_string().into_bytes()
}
