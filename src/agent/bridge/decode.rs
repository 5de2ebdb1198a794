//! The messages of a run's stream as events.
//!
//! A message is one of `sdkMessage`, `interactionUpdate`, `step`, `result` and `done`
//! (sdk_messages.proto); one that is none of them only keeps the connection alive. The deltas are
//! what is said, so the whole messages beside them are not read, except for the run's id.

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::failure;
use crate::{
    agent::{AgentError, AgentEvent, LazyJson, NativeCall, NativeOutcome, RunResult, usage},
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
    update: UpdateBody,
}

/// What the update of any kind may hold; what has another type is as good as missing.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct UpdateBody {
    #[serde(deserialize_with = "lenient")]
    text: String,
    #[serde(deserialize_with = "lenient")]
    usage: Option<Map<String, Value>>,
    #[serde(deserialize_with = "lenient")]
    call_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    model_call_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    tool_call: Option<ToolCallBody>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ToolCallBody {
    #[serde(rename = "type", deserialize_with = "lenient")]
    kind: Option<String>,
    #[serde(deserialize_with = "lenient")]
    args: Option<Map<String, Value>>,
    result: Option<Value>,
}

fn lenient<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned + Default,
{
    let value = Value::deserialize(deserializer)?;
    Ok(T::deserialize(value).unwrap_or_default())
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
    usage: Option<Map<String, Value>>,
    error_code: Option<String>,
    error_message: Option<String>,
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
        let message: BridgeMessage = serde_json::from_slice(json).map_err(|error| {
            AgentError::Failed(format!(
                "the bridge sent a message that cannot be read: {error}"
            ))
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
        let Update { kind, update } = update;
        match kind.as_str() {
            "text-delta" => {
                self.said += &update.text;
                AgentEvent::TextDelta(update.text)
            }
            "thinking-delta" => AgentEvent::Thinking(update.text),
            "partial-tool-call" | "tool-call-started" | "tool-call-completed"
                if self.is_served(&update) =>
            {
                AgentEvent::ServedTool
            }
            "tool-call-started" => {
                native(update).map_or(AgentEvent::Activity, AgentEvent::ToolStarted)
            }
            "tool-call-completed" => {
                native(update).map_or(AgentEvent::Activity, AgentEvent::ToolCompleted)
            }
            "turn-ended" => {
                if let Some(usage) = update.usage {
                    let sum = self.turns.unwrap_or_default();
                    self.turns = Some(sum + fresh(&usage));
                }
                AgentEvent::Activity
            }
            // Steps, partial calls, token counts, summaries, and what later versions add.
            _ => AgentEvent::Activity,
        }
    }

    /// Whether it is about a custom tool, whose call comes by callback, or about their discovery,
    /// which has no provider.
    fn is_served(&mut self, update: &UpdateBody) -> bool {
        let Some(call) = &update.tool_call else {
            return false;
        };
        let text = |name: &str| call.args.as_ref()?.get(name)?.as_str();
        let provider = text("providerIdentifier").unwrap_or(CUSTOM_TOOLS);
        if call.kind.as_deref() != Some("mcp") || provider != CUSTOM_TOOLS {
            return false;
        }
        if let (Some(_), Some(id)) = (text("toolName"), &update.call_id) {
            self.announced.push(id.clone());
        }
        true
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
                return Err(AgentError::Failed(message));
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
        events.push(AgentEvent::Finished(Box::new(RunResult {
            text,
            is_error: false,
            usage: outcome.usage.as_ref().map(fresh).or(self.turns),
        })));
        Ok(())
    }
}

/// A tool of Cursor's own, which the agent should not have.
fn native(update: UpdateBody) -> Option<Box<NativeCall>> {
    let call = update.tool_call?;
    let outcome = call.result.map(|result| NativeOutcome {
        name: result["status"].as_str().unwrap_or("success").to_owned(),
        body: LazyJson::from(result),
    });
    Some(Box::new(NativeCall {
        call_id: update.call_id.unwrap_or_default(),
        model_call_id: update.model_call_id,
        kind: call.kind?,
        args: call.args,
        outcome,
    }))
}

/// Cursor's input counts what was read from and written to the cache (its total is input and output
/// alone); ours counts fresh input only.
fn fresh(fields: &Map<String, Value>) -> Usage {
    let usage = usage::of(fields).unwrap_or_default();
    let cached = [usage.cache_read, usage.cache_write].into_iter().flatten();
    Usage {
        // More cache than input means that this version counts them apart.
        input: usage.input.checked_sub(cached.sum()).unwrap_or(usage.input),
        cost: None,
        ..usage
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
