//! A client that lets a test see every byte of an answer.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, StatusCode, body::Incoming, http::request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::TcpStream, task::JoinHandle};

use super::{Offer, SOON};

pub struct Client {
    pub url: String,
    pub authorization: String,
}

/// An answer under way. Dropping it closes the connection.
pub struct Answer {
    pub response: Response<Incoming>,
    connection: JoinHandle<()>,
}

impl Client {
    /// The agent that got this offer's configuration.
    pub fn of(offer: &Offer) -> Self {
        let config = offer.config();
        let server = &config["mcpServers"][offer.server_name()];
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Self {
            url: text(&server["url"]),
            authorization: text(&server["headers"]["Authorization"]),
        }
    }

    pub fn addr(&self) -> &str {
        let authority = self.url.strip_prefix("http://").unwrap();
        authority.split('/').next().unwrap()
    }

    /// A POST that says everything an MCP client says.
    pub fn post(&self) -> request::Builder {
        Request::post("/mcp")
            .header("host", self.addr())
            .header("authorization", &self.authorization)
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
    }

    pub async fn send(&self, builder: request::Builder, body: impl Into<Bytes>) -> Answer {
        let stream = TcpStream::connect(self.addr()).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        let connection = tokio::spawn(async move {
            let _ = connection.await;
        });
        let request = builder.body(Full::new(body.into())).unwrap();
        let response = tokio::time::timeout(SOON, sender.send_request(request));
        Answer {
            response: response.await.unwrap().unwrap(),
            connection,
        }
    }

    /// Sends messages and returns the answer as it begins.
    pub async fn start(&self, body: &Value) -> Answer {
        self.send(self.post(), body.to_string()).await
    }

    /// Sends messages and returns those that answer them.
    pub async fn ask(&self, body: &Value) -> Vec<Value> {
        self.start(body).await.messages().await
    }
}

impl Answer {
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub fn content_type(&self) -> &str {
        let value = self.response.headers().get("content-type");
        value.map_or("", |value| value.to_str().unwrap())
    }

    /// The next piece of the body.
    pub async fn piece(&mut self) -> Option<String> {
        let frame = tokio::time::timeout(SOON, self.response.body_mut().frame());
        let data = frame.await.unwrap()?.unwrap().into_data().unwrap();
        Some(String::from_utf8(data.to_vec()).unwrap())
    }

    /// The rest of the body.
    pub async fn text(mut self) -> String {
        let mut text = String::new();
        while let Some(piece) = self.piece().await {
            text.push_str(&piece);
        }
        text
    }

    /// The messages of the rest of the body, whatever form it has.
    pub async fn messages(self) -> Vec<Value> {
        if self.content_type() == "text/event-stream" {
            return events(&self.text().await);
        }
        assert_eq!(self.content_type(), "application/json");
        match serde_json::from_str(&self.text().await).unwrap() {
            Value::Array(messages) => messages,
            message => vec![message],
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// The data of a stream's events.
pub fn events(text: &str) -> Vec<Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).unwrap())
        .collect()
}
