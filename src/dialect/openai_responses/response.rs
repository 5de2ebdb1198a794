//! The response object.

use serde_json::{Map, Value, json};

use crate::{
    dialect::{Stamp, field::Field, is_worth_a_retry, x_cursor},
    turn::{ErrorKind, FinishReason, TurnEnd, Usage},
};

/// What a response says of itself before there is any answer.
pub struct ResponseHead {
    /// Unique; the ids of items are made from it.
    pub id: String,
    created: u64,
    model: String,
    /// Whether later requests can continue it, as far as is known.
    pub stored: bool,
    /// The request's parameters, which the object repeats.
    echo: Map<String, Value>,
}

/// The members that are repeated, with what stands for a missing one.
const ECHOED: &[(&str, &str)] = &[
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("previous_response_id", "null"),
    ("reasoning", r#"{"effort":null,"summary":null}"#),
    ("text", r#"{"format":{"type":"text"}}"#),
    ("tool_choice", r#""auto""#),
    ("tools", "[]"),
];

impl ResponseHead {
    /// The head of the response to this request.
    pub fn new(stamp: &Stamp, model: &str, stored: bool, body: &Field<'_>) -> Self {
        let echo = ECHOED.iter().map(|(name, missing)| {
            let given = body.get(name).map(|field| field.value.to_value());
            let value = given.or_else(|| serde_json::from_str(missing).ok());
            let mut value = value.unwrap_or_default();
            if *name == "tools" {
                complete(&mut value);
            }
            ((*name).to_owned(), value)
        });
        Self {
            id: stamp.id.clone(),
            created: stamp.created,
            model: model.to_owned(),
            stored,
            echo: echo.collect(),
        }
    }

    /// The head of another response, which is not stored, to a request of the same form.
    pub fn another(&self, stamp: &Stamp) -> Self {
        Self {
            id: stamp.id.clone(),
            created: stamp.created,
            model: self.model.clone(),
            stored: false,
            echo: self.echo.clone(),
        }
    }

    /// What the response is called.
    pub fn response_id(&self) -> String {
        format!("resp_{}", self.id)
    }

    /// The object before the answer.
    pub fn in_progress(&self) -> Value {
        self.object("in_progress", Vec::new())
    }

    /// The object with the answer's items, and the event that carries it.
    pub fn finished(&self, output: Vec<Value>, end: &TurnEnd) -> (&'static str, Value) {
        let (event, mut object) = match &end.outcome {
            Ok(FinishReason::Length) => {
                let mut object = self.object("incomplete", output);
                object["incomplete_details"] = json!({"reason": "max_output_tokens"});
                ("response.incomplete", object)
            }
            Ok(_) => ("response.completed", self.object("completed", output)),
            Err(error) => {
                let mut object = self.object("failed", output);
                object["error"] = json!({"code": code(error.kind), "message": error.message});
                ("response.failed", object)
            }
        };
        if let Some(counted) = &end.usage {
            object["usage"] = usage(counted);
        }
        x_cursor::note(&mut object, end.usage.as_ref(), &end.lost_changes);
        (event, object)
    }

    fn object(&self, status: &str, output: Vec<Value>) -> Value {
        let mut object = json!({
            "id": self.response_id(),
            "object": "response",
            "created_at": self.created,
            "status": status,
            "background": false,
            "error": null,
            "incomplete_details": null,
            "model": self.model,
            "output": output,
            "store": self.stored,
            "temperature": null,
            "top_p": null,
            "truncation": "disabled",
        });
        if let Some(members) = object.as_object_mut() {
            members.extend(self.echo.clone());
        }
        object
    }
}

/// Gives functions the members that OpenAI's schema requires and requests may leave out. None is
/// strict unless the request says so: arguments are made to fit the schema, but by us.
fn complete(tools: &mut Value) {
    for tool in tools.as_array_mut().into_iter().flatten() {
        if tool["type"] == "namespace" {
            complete(&mut tool["tools"]);
        }
        let Some(tool) = tool
            .as_object_mut()
            .filter(|tool| tool.get("type") == Some(&"function".into()))
        else {
            continue;
        };
        tool.entry("strict").or_insert(false.into());
        tool.entry("parameters").or_insert(Value::Null);
    }
}

/// OpenAI counts cache reads and writes as part of the input; Cursor counts them beside it.
fn usage(usage: &Usage) -> Value {
    let (read, written) = (
        usage.cache_read.unwrap_or(0),
        usage.cache_write.unwrap_or(0),
    );
    let input = usage.input + read + written;
    json!({
        "input_tokens": input,
        "input_tokens_details": {"cached_tokens": read, "cache_write_tokens": written},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning.unwrap_or(0)},
        "total_tokens": input + usage.output,
    })
}

/// Codex repeats a failed response unless it knows one of the first two or `invalid_prompt`, so
/// that stands for all that a retry cannot fix.
fn code(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::ContextTooLong => "context_length_exceeded",
        ErrorKind::UsageLimit => "insufficient_quota",
        ErrorKind::RateLimit => "rate_limit_exceeded",
        kind if !is_worth_a_retry(kind) => "invalid_prompt",
        _ => "server_error",
    }
}
