//! The answers to one POST, as events of a stream.

use std::{convert::Infallible, future::Future, pin::Pin};

use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream, stream::FuturesUnordered};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{WaitLimits, rpc::HeldRequest};

type McpResponse = Pin<Box<dyn Future<Output = Option<Value>> + Send>>;

/// Who hears of progress.
struct ProgressTarget {
    request: Value,
    token: Value,
}

struct StreamState {
    /// Answers that are known already.
    now: std::vec::IntoIter<Value>,
    held: FuturesUnordered<McpResponse>,
    progress: Vec<ProgressTarget>,
    beats: u64,
    limits: WaitLimits,
}

/// First the answers that are there, then each held one when it comes; comments and progress in
/// between.
pub(super) fn events(
    now: Vec<Value>,
    held: Vec<HeldRequest>,
    limits: WaitLimits,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    let progress = held.iter().filter_map(|held| {
        Some(ProgressTarget {
            request: held.id.clone(),
            token: held.progress_token.clone()?,
        })
    });
    let state = StreamState {
        now: now.into_iter(),
        progress: progress.collect(),
        held: held
            .into_iter()
            .map(|held| response(held, limits))
            .collect(),
        beats: 0,
        limits,
    };
    stream::unfold(state, |mut state| async {
        let frame = state.next().await?;
        Some((Ok(frame), state))
    })
}

/// All answers at once, when the last is known: for agents that do not read streams.
pub(super) async fn all(now: Vec<Value>, held: Vec<HeldRequest>, limits: WaitLimits) -> Vec<Value> {
    let held: FuturesUnordered<McpResponse> = held
        .into_iter()
        .map(|held| response(held, limits))
        .collect();
    let late: Vec<Option<Value>> = held.collect().await;
    now.into_iter().chain(late.into_iter().flatten()).collect()
}

fn response(held: HeldRequest, limits: WaitLimits) -> McpResponse {
    Box::pin(held.response(limits.hold))
}

impl StreamState {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(message) = self.now.next() {
            return Some(event(&message));
        }
        loop {
            let response = tokio::select! {
                biased;
                response = self.held.next() => response?,
                () = sleep(self.limits.heartbeat) => return Some(self.beat()),
            };
            if let Some(message) = response {
                self.progress
                    .retain(|it| Some(&it.request) != message.get("id"));
                return Some(event(&message));
            }
        }
    }

    /// A sign of life.
    fn beat(&mut self) -> Bytes {
        self.beats += 1;
        let mut frames = b": waiting for the tool\n\n".to_vec();
        for ProgressTarget { token, .. } in &self.progress {
            let params = json!({"progressToken": token, "progress": self.beats});
            frames.extend(event(&json!({
                "jsonrpc": "2.0", "method": "notifications/progress", "params": params,
            })));
        }
        frames.into()
    }
}

fn event(message: &Value) -> Bytes {
    format!("event: message\ndata: {message}\n\n").into()
}
