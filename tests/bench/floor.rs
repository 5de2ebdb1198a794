//! The least a server could do: for each request it spawns the agent, hands it the request's body
//! as the prompt and answers with the agent's bytes as they come.

use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Either, Empty};
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStdout, Command};

/// How much is read at once.
const CHUNK: usize = 16 * 1024;

/// Serves until it is killed. Takes the address file and the agent's path.
pub fn main(mut args: impl Iterator<Item = String>) -> anyhow::Result<()> {
    let (Some(info), Some(agent)) = (args.next(), args.next()) else {
        anyhow::bail!("usage: bench-floor INFO AGENT");
    };
    let agent: &'static str = agent.leak();
    tokio::runtime::Runtime::new()?.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let part = format!("{info}.part");
        std::fs::write(&part, format!(r#"{{"port":{port}}}"#))?;
        std::fs::rename(part, info)?;
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(serve(stream, agent));
        }
    })
}

async fn serve(stream: TcpStream, agent: &'static str) {
    let _ = stream.set_nodelay(true);
    let answer = service_fn(|request| answer(request, agent));
    let http = hyper::server::conn::http1::Builder::new();
    // A client that goes away is no event here.
    let _ = http.serve_connection(TokioIo::new(stream), answer).await;
}

type Answer = Response<Either<Relay, Empty<Bytes>>>;

async fn answer(request: Request<Incoming>, agent: &str) -> anyhow::Result<Answer> {
    if request.method() == Method::GET {
        return Ok(Response::new(Either::Right(Empty::new())));
    }
    let body = request.into_body().collect().await?.to_bytes();
    let mut child = spawn(agent, &body)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(&body).await?;
    }
    let stdout = child
        .stdout
        .take()
        .ok_or_else(|| anyhow::anyhow!("no stdout"))?;
    Ok(Response::new(Either::Left(Relay {
        _child: child,
        stdout,
        buffer: BytesMut::new(),
    })))
}

fn spawn(agent: &str, body: &[u8]) -> anyhow::Result<Child> {
    #[derive(Deserialize)]
    struct Head {
        model: String,
    }
    let model = serde_json::from_slice::<Head>(body)?.model;
    let flags = [
        "--print",
        "--output-format",
        "stream-json",
        "--stream-partial-output",
        "--trust",
    ];
    Ok(Command::new(agent)
        .args(flags)
        .args(["--model", &model])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?)
}

/// The agent's stdout as a response body.
struct Relay {
    _child: Child,
    stdout: ChildStdout,
    buffer: BytesMut,
}

impl Body for Relay {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let relay = &mut *self;
        relay.buffer.resize(CHUNK, 0);
        let mut read = ReadBuf::new(&mut relay.buffer);
        ready!(Pin::new(&mut relay.stdout).poll_read(context, &mut read))?;
        let length = read.filled().len();
        if length == 0 {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(Ok(Frame::data(
            relay.buffer.split_to(length).freeze(),
        ))))
    }
}
