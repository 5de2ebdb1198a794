//! One MCP server: JSON-RPC by HTTP requests that block.

use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// The protocol version that is asked for.
pub(super) const VERSION: &str = "2025-06-18";

/// How long a notification may take.
const NOTIFY: Duration = Duration::from_secs(60);

/// A server that is reached over HTTP.
pub(super) struct McpServer {
    pub(super) name: String,
    authority: String,
    path: String,
    headers: Vec<(String, String)>,
    ids: AtomicU64,
}

impl McpServer {
    pub(super) fn new(name: &str, config: &Value) -> Option<Self> {
        let (authority, path) = config["url"]
            .as_str()?
            .strip_prefix("http://")?
            .split_once('/')?;
        let headers = config["headers"].as_object().into_iter().flatten();
        let headers =
            headers.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
        Some(Self {
            name: name.to_owned(),
            authority: authority.to_owned(),
            path: format!("/{path}"),
            headers: headers.collect(),
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
            Ok(answers) => answers,
            Err(error) if is_timeout(&error) => {
                let reason = json!({"requestId": id, "reason": "Request timed out"});
                let _ = self.notify("notifications/cancelled", &reason);
                return Err(io::Error::other("MCP error -32001: Request timed out"));
            }
            Err(error) => return Err(error),
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
        let deadline = Instant::now() + patience;
        let body = message.to_string();
        let mut head = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: {VERSION}\r\n\
             Content-Length: {}\r\n",
            self.path,
            self.authority,
            body.len()
        );
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        let mut stream = TcpStream::connect(&self.authority)?;
        stream.write_all(format!("{head}\r\n{body}").as_bytes())?;
        let mut answer = Vec::new();
        let mut piece = [0; 16 * 1024];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            stream.set_read_timeout(Some(left))?;
            match stream.read(&mut piece)? {
                0 => break,
                length => answer.extend(&piece[..length]),
            }
        }
        messages(&answer)
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock
    )
}

/// The messages of an HTTP answer: of an event stream, or of a JSON body.
fn messages(answer: &[u8]) -> io::Result<Vec<Value>> {
    let broken = || io::Error::other("the MCP server broke off its answer");
    let end = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .ok_or_else(broken)?;
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let status = head.split(' ').nth(1).unwrap_or_default();
    if !status.starts_with('2') {
        return Err(io::Error::other(format!(
            "the MCP server answered with status {status}"
        )));
    }
    let body = &answer[end + 4..];
    let body = if head.contains("transfer-encoding: chunked") {
        dechunk(body).ok_or_else(broken)?
    } else {
        body.to_vec()
    };
    let text = String::from_utf8_lossy(&body);
    if head.contains("content-type: text/event-stream") {
        let data = text.lines().filter_map(|line| line.strip_prefix("data:"));
        return Ok(data
            .filter_map(|data| serde_json::from_str(data).ok())
            .collect());
    }
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![serde_json::from_str(&text)?])
}

fn dechunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..line]).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        let start = line + 2;
        body.extend(rest.get(start..start + size)?);
        rest = rest.get(start + size + 2..)?;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn answers_in_every_form() {
        let json = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"id\":1}";
        assert_eq!(messages(json).unwrap(), [json!({"id": 1})]);
        let stream = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
            transfer-encoding: chunked\r\n\r\n5\r\n: hi\n\r\n11\r\ndata: {\"id\": 2}\n\n\r\n0\r\n\r\n";
        assert_eq!(messages(stream).unwrap(), [json!({"id": 2})]);
        assert!(
            messages(b"HTTP/1.1 202 Accepted\r\n\r\n")
                .unwrap()
                .is_empty()
        );
        assert!(messages(b"HTTP/1.1 404 Not Found\r\n\r\n{}").is_err());
        assert!(messages(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab").is_err());
        assert!(messages(b"").is_err());
    }
}
