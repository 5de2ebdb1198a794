//! The messages of a run's stream as events.
//!
//! A message is one of `sdkMessage`, `interactionUpdate`, `step`, `result` and `done`
//! (sdk_messages.proto); one that is none of them only keeps the connection alive. The deltas are
//! what is said, so the whole messages beside them are not read, except for the run's id.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::failure;
use crate::{
    agent::{AgentError, AgentEvent, LazyJson, NativeCall, NativeOutcome, RunResult},
    turn::Usage,
};

/// The synthetic server that the SDK offers custom tools as.
pub(super) const CUSTOM_TOOLS: &str = "custom-user-tools";

/// A message of the stream. Unknown fields are those of other versions.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct BridgeMessage {
    sdk_message: Option<SdkMessage>,
    interaction_update: Option<Update>,
    result: Option<StreamResult>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SdkMessage {
    message: RunIds,
}

/// What each whole message holds, in snake case as the SDK's own events.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RunIds {
    run_id: String,
    status: Option<String>,
    message: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Update {
    #[serde(rename = "type")]
    kind: String,
    update: Map<String, Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct StreamResult {
    run_id: String,
    status: String,
    error_code: Option<String>,
    result: Option<RunOutcome>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RunOutcome {
    result: String,
    usage: Option<TokenUsage>,
    error_code: Option<String>,
    error_message: Option<String>,
}

/// Protobuf's JSON writes 64-bit numbers as text, the SDK's own objects as numbers.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct TokenUsage {
    input_tokens: Value,
    output_tokens: Value,
    cache_read_tokens: Value,
    cache_write_tokens: Value,
    reasoning_tokens: Value,
}

/// What is known of a run while its stream is read.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// The run's id, once it is known.
    pub run_id: Option<String>,
    /// The text of all deltas.
    said: String,
    /// The custom tools' calls that were announced since this was last taken.
    pub announced: Vec<String>,
    /// Usage of the turns that have ended.
    turns: Option<Usage>,
    /// What the last status message said of a failure.
    complaint: String,
    model: String,
    models: Vec<String>,
}

impl Decoder {
    /// A decoder of a run of `model`, one of `models`.
    pub fn new(model: &str, models: Vec<String>) -> Self {
        Self {
            model: model.to_owned(),
            models,
            ..Self::default()
        }
    }

    /// Appends the message's events. After [`AgentEvent::Finished`] nothing counts.
    ///
    /// # Errors
    /// Why the run has failed, if the message says so.
    pub fn message(&mut self, json: &[u8], events: &mut Vec<AgentEvent>) -> Result<(), AgentError> {
        let message: BridgeMessage =
            serde_json::from_slice(json).map_err(|error| AgentError::Failed {
                message: format!("the bridge sent a message that cannot be read: {error}"),
            })?;
        if let Some(SdkMessage { message }) = message.sdk_message {
            self.know(message.run_id);
            if message.status.as_deref() == Some("ERROR") {
                self.complaint = message
                    .message
                    .as_ref()
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned();
            }
            // The whole messages of a run without partial output would be the only sign of life.
            events.push(AgentEvent::Activity);
        }
        if let Some(update) = message.interaction_update {
            events.push(self.update(update));
        }
        match message.result {
            Some(result) => self.result(result, events),
            None => Ok(()),
        }
    }

    fn know(&mut self, run_id: String) {
        if self.run_id.is_none() && !run_id.is_empty() {
            self.run_id = Some(run_id);
        }
    }

    fn update(&mut self, update: Update) -> AgentEvent {
        let Update { kind, mut update } = update;
        let mut text = || match update.remove("text") {
            Some(Value::String(text)) => text,
            _ => String::new(),
        };
        match kind.as_str() {
            "text-delta" => {
                let text = text();
                self.said += &text;
                AgentEvent::TextDelta(text)
            }
            "thinking-delta" => AgentEvent::Thinking(text()),
            "partial-tool-call" => self.served(&update).unwrap_or(AgentEvent::Activity),
            "tool-call-started" => match self.served(&update) {
                Some(served) => served,
                None => native(update).map_or(AgentEvent::Activity, AgentEvent::ToolStarted),
            },
            "tool-call-completed" => match self.served(&update) {
                Some(served) => served,
                None => native(update).map_or(AgentEvent::Activity, AgentEvent::ToolCompleted),
            },
            "turn-ended" => {
                let usage = update.remove("usage");
                if let Some(usage) = usage.and_then(|usage| TokenUsage::deserialize(usage).ok()) {
                    let sum = self.turns.unwrap_or_default();
                    self.turns = Some(sum + usage.into());
                }
                AgentEvent::Activity
            }
            // Steps, partial calls, token counts, summaries, and what later versions add.
            _ => AgentEvent::Activity,
        }
    }

    /// An event about a custom tool, whose call comes by callback, or about their discovery, which
    /// has no provider.
    fn served(&mut self, update: &Map<String, Value>) -> Option<AgentEvent> {
        let call = update.get("toolCall")?;
        let args = call.get("args");
        let text = |name: &str| args?.get(name)?.as_str();
        let provider = text("providerIdentifier").unwrap_or(CUSTOM_TOOLS);
        if call.get("type")? != "mcp" || provider != CUSTOM_TOOLS {
            return None;
        }
        if let (Some(_), Some(id)) = (text("toolName"), update.get("callId")?.as_str()) {
            self.announced.push(id.to_owned());
        }
        Some(AgentEvent::ServedTool)
    }

    fn result(
        &mut self,
        result: StreamResult,
        events: &mut Vec<AgentEvent>,
    ) -> Result<(), AgentError> {
        self.know(result.run_id);
        let outcome = result.result.unwrap_or_default();
        let status = result.status.trim_start_matches("RUN_LIFECYCLE_STATUS_");
        match status {
            "FINISHED" => {}
            "CANCELLED" | "EXPIRED" => {
                let message = format!("Cursor ended the run: {}", status.to_ascii_lowercase());
                return Err(AgentError::Failed { message });
            }
            _ => {
                let code = outcome.error_code.or(result.error_code).unwrap_or_default();
                let message = outcome.error_message.as_deref().unwrap_or(&self.complaint);
                return Err(failure::of_run(&code, message, &self.model, &self.models));
            }
        }
        // The result may hold the last segment alone; what was said is the whole.
        let text = if self.said.is_empty() {
            outcome.result
        } else {
            std::mem::take(&mut self.said)
        };
        events.push(AgentEvent::Finished(RunResult {
            text,
            is_error: false,
            usage: outcome.usage.map(Usage::from).or(self.turns),
        }));
        Ok(())
    }
}

/// A tool of Cursor's own, which the agent should not have.
fn native(mut update: Map<String, Value>) -> Option<NativeCall> {
    let call_id = match update.remove("callId") {
        Some(Value::String(id)) => id,
        _ => String::new(),
    };
    let model_call_id = match update.remove("modelCallId") {
        Some(Value::String(id)) => Some(id),
        _ => None,
    };
    let Some(Value::Object(mut call)) = update.remove("toolCall") else {
        return None;
    };
    let kind = call.get("type")?.as_str()?.to_owned();
    let args = match call.remove("args") {
        Some(Value::Object(args)) => Some(args),
        _ => None,
    };
    let outcome = call.remove("result").map(|result| NativeOutcome {
        name: result
            .get("status")
            .and_then(Value::as_str)
            .unwrap_or("success")
            .to_owned(),
        body: LazyJson::from(result),
    });
    Some(NativeCall {
        call_id,
        model_call_id,
        kind,
        args,
        outcome,
    })
}

impl From<TokenUsage> for Usage {
    /// Cursor's input counts what was read from and written to the cache (its total is input and
    /// output alone); ours counts fresh input only.
    fn from(usage: TokenUsage) -> Self {
        let number = |value: &Value| match value {
            Value::String(text) => text.parse().ok(),
            value => value
                .as_u64()
                .or_else(|| value.as_f64().map(|float| float.max(0.0) as u64)),
        };
        let input = number(&usage.input_tokens).unwrap_or_default();
        let cache_read = number(&usage.cache_read_tokens);
        let cache_write = number(&usage.cache_write_tokens);
        let cached = cache_read
            .unwrap_or_default()
            .saturating_add(cache_write.unwrap_or_default());
        Self {
            // More cache than input means that this version counts them apart.
            input: input.checked_sub(cached).unwrap_or(input),
            output: number(&usage.output_tokens).unwrap_or_default(),
            cache_read,
            cache_write,
            reasoning: number(&usage.reasoning_tokens),
            ..Self::default()
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
