//! One request of the demo, and its streamed answer, shown as it arrives.

use std::{net::SocketAddr, time::Duration};

use anyhow::bail;
use futures::StreamExt as _;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use sse_stream::SseStream;

use super::{MODEL, label, labelled};
use crate::{
    cli::render::{self, FAINT, Wrapped},
    http::client,
};

/// The pause after a piece of text on a terminal: the replay agent is too fast to be read.
const PACE: Duration = Duration::from_millis(30);

/// What one streamed answer held.
#[derive(Default)]
pub(super) struct Streamed {
    text: String,
    pub(super) tool_calls: Vec<Value>,
}

impl Streamed {
    pub(super) fn into_message(self) -> Value {
        let mut message = json!({"role": "assistant", "content": self.text});
        if !self.tool_calls.is_empty() {
            message["tool_calls"] = self.tool_calls.into();
        }
        message
    }

    /// Takes a chunk of the stream, and shows its text.
    fn take(&mut self, chunk: &Value, shown: &mut Option<Wrapped>) -> anyhow::Result<()> {
        if let Some(error) = chunk.get("error") {
            bail!(
                "the answer ended early: {}",
                error["message"].as_str().unwrap_or_default()
            );
        }
        let delta = &chunk["choices"][0]["delta"];
        if let Some(text) = delta["content"].as_str().filter(|text| !text.is_empty()) {
            let shown = shown.get_or_insert_with(|| label("model", MODEL));
            shown.text(text);
            self.text.push_str(text);
        }
        let calls = delta["tool_calls"].as_array().into_iter().flatten();
        self.tool_calls.extend(calls.cloned());
        Ok(())
    }
}

pub(super) async fn ask(addr: SocketAddr, body: &Value) -> anyhow::Result<Streamed> {
    let response = client::send(addr, "/v1/chat/completions", Some(body.to_string())).await?;
    let status = response.status();
    if !status.is_success() {
        let body = response.into_body().collect().await?.to_bytes();
        return Err(render::hinted(
            format_args!("the server answered {status}: {}", sentence(&body)),
            "`open-cursor doctor` checks the agent and its login; `open-cursor models` lists the models",
        ));
    }
    let run = response.headers().get("x-open-cursor-run");
    match run.map(|run| run.as_bytes()) {
        Some(b"fresh") => labelled("agent", FAINT, "was started"),
        Some(b"resumed") => labelled("agent", FAINT, "got the results and continues"),
        _ => {}
    }
    let mut answer = Streamed::default();
    let mut shown = None;
    let mut events = SseStream::new(response.into_body());
    while let Some(event) = events.next().await {
        let data = event?.data.unwrap_or_default();
        if data == "[DONE]" {
            if let Some(shown) = shown {
                Wrapped::end(shown);
            }
            return Ok(answer);
        }
        answer.take(&serde_json::from_str(&data)?, &mut shown)?;
        if shown.as_ref().is_some_and(Wrapped::is_on_terminal) {
            tokio::time::sleep(PACE).await;
        }
    }
    bail!("the stream ended without [DONE]")
}

/// The message of an error in OpenAI's form.
fn sentence(body: &[u8]) -> String {
    let error: Value = serde_json::from_slice(body).unwrap_or_default();
    let message = error["error"]["message"].as_str().map(str::to_owned);
    message.unwrap_or_else(|| String::from_utf8_lossy(body).trim().to_owned())
}
