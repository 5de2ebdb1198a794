//! One MCP server: JSON-RPC by HTTP requests that block.

use std::{
    io,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use serde_json::{Value, json};

/// The protocol version that is asked for.
pub(super) const VERSION: &str = "2025-06-18";

/// How long a notification may take.
const NOTIFY: Duration = Duration::from_secs(60);

/// A server that is reached over HTTP.
pub(super) struct McpServer {
    pub(super) name: String,
    url: String,
    headers: Vec<(String, String)>,
    http: ureq::Agent,
    ids: AtomicU64,
}

impl McpServer {
    pub(super) fn new(name: &str, config: &Value) -> Option<Self> {
        let url = config["url"].as_str()?;
        let headers = config["headers"].as_object().into_iter().flatten();
        let headers =
            headers.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
        let http = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_idle_connections(0)
            .proxy(None);
        url.starts_with("http://").then(|| Self {
            name: name.to_owned(),
            url: url.to_owned(),
            headers: headers.collect(),
            http: http.build().into(),
            ids: AtomicU64::new(0),
        })
    }

    pub(super) fn request(
        &self,
        method: &str,
        params: &Value,
        patience: Duration,
    ) -> io::Result<Value> {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let answers = match self.post(&message, patience) {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                let reason = json!({"requestId": id, "reason": "Request timed out"});
                let _ = self.notify("notifications/cancelled", &reason);
                return Err(io::Error::other("MCP error -32001: Request timed out"));
            }
            answers => answers?,
        };
        let answer = answers.into_iter().find(|answer| answer["id"] == id);
        let answer =
            answer.ok_or_else(|| io::Error::other(format!("{method} was not answered")))?;
        match answer.get("error") {
            Some(error) => Err(io::Error::other(format!(
                "MCP error {}: {}",
                error["code"],
                error["message"].as_str().unwrap_or_default()
            ))),
            None => Ok(answer["result"].clone()),
        }
    }

    pub(super) fn notify(&self, method: &str, params: &Value) -> io::Result<()> {
        let message = json!({"jsonrpc": "2.0", "method": method, "params": params});
        self.post(&message, NOTIFY).map(drop)
    }

    /// Sends a message and returns those of the answer.
    fn post(&self, message: &Value, patience: Duration) -> io::Result<Vec<Value>> {
        let mut request = self
            .http
            .post(&self.url)
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", VERSION);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.config().timeout_global(Some(patience)).build();
        let mut response = request.send(message.to_string()).map_err(failed)?;
        let status = response.status().as_u16();
        if !response.status().is_success() {
            return Err(io::Error::other(format!(
                "the MCP server answered with status {status}"
            )));
        }
        let body = response.body_mut();
        let is_stream = body.mime_type() == Some("text/event-stream");
        let body = body.with_config().limit(u64::MAX).read_to_string();
        messages(&body.map_err(failed)?, is_stream)
    }
}

fn failed(error: ureq::Error) -> io::Error {
    match error {
        ureq::Error::Timeout(_) => io::ErrorKind::TimedOut.into(),
        error => io::Error::other(error),
    }
}

/// The messages of an answer: of an event stream, or of a JSON body.
fn messages(text: &str, is_stream: bool) -> io::Result<Vec<Value>> {
    if is_stream {
        let data = text.lines().filter_map(|line| line.strip_prefix("data:"));
        return Ok(data
            .filter_map(|data| serde_json::from_str(data).ok())
            .collect());
    }
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![serde_json::from_str(text)?])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn answers_in_every_form() {
        assert_eq!(messages("{\"id\":1}", false).unwrap(), [json!({"id": 1})]);
        let stream = ": hi\n\ndata: {\"id\": 2}\n\n";
        assert_eq!(messages(stream, true).unwrap(), [json!({"id": 2})]);
        assert!(messages("", false).unwrap().is_empty());
        assert!(messages("{", false).is_err());
    }
}
