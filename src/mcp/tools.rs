//! The tools of one run under the names that the agent sees.
//!
//! Cursor leaves out tools whose server and tool name are longer than 60 characters together
//! (parked.md 4.2), and an MCP client may refuse a whole list for one definition that it finds
//! malformed. So names and the top level of schemas are made acceptable here; all else stays as the
//! client sent it.

use serde_json::{Map, Value, json};

use super::names::ToolNames;
use crate::turn::ToolSpec;

/// The longest name of a tool, in characters.
const LONGEST: usize = 50;

/// What the tool that waits for a result is called, unless the client has a tool of that name.
const AWAIT_RESULT: &str = "await_result";

/// What a call by name means.
pub(super) enum Named<'a> {
    /// The client's tool of this name.
    Client(&'a str),
    /// Waiting for the result of an earlier call.
    AwaitResult,
    Unknown,
}

/// All tools of a run.
pub(super) struct Tools {
    names: ToolNames,
    await_result: String,
    /// The result of `tools/list`.
    list: Value,
}

impl Tools {
    pub(super) fn new(specs: &[ToolSpec]) -> Self {
        let names = ToolNames::new(specs, LONGEST);
        let await_result = names.unused(AWAIT_RESULT);
        let mut list: Vec<Value> = specs
            .iter()
            .zip(names.pairs())
            .map(|(spec, (_, name))| {
                json!({
                    "name": name, "description": spec.description,
                    "inputSchema": object_schema(&spec.schema),
                })
            })
            .collect();
        list.push(json!({
            "name": await_result,
            "description": "Waits for the result of a tool call that was answered with \
                \"still running\" and an id. Call it with that id, again and again until it \
                returns the result.",
            "inputSchema": {
                "type": "object",
                "properties": {"id": {"type": "string", "description": "The id of the running call"}},
                "required": ["id"],
            },
        }));
        Self {
            names,
            await_result,
            list: json!({"tools": list}),
        }
    }

    pub(super) fn list(&self) -> &Value {
        &self.list
    }

    pub(super) fn names(&self) -> &ToolNames {
        &self.names
    }

    pub(super) fn await_result(&self) -> &str {
        &self.await_result
    }

    pub(super) fn find(&self, agent_name: &str) -> Named<'_> {
        if agent_name == self.await_result {
            return Named::AwaitResult;
        }
        match self.names.client(agent_name) {
            Some(client) => Named::Client(client),
            None => Named::Unknown,
        }
    }
}

/// The schema with a top level that MCP clients accept: `type` is `object`, every property an
/// object, `required` a list of names. The official TypeScript client drops the whole list of tools
/// otherwise.
fn object_schema(schema: &Value) -> Value {
    let mut object = Map::new();
    object.insert("type".to_owned(), json!("object"));
    let Some(given) = schema.as_object() else {
        object.insert("properties".to_owned(), json!({}));
        return object.into();
    };
    for (key, value) in given {
        match (key.as_str(), value) {
            ("type", _) => {}
            ("properties", Value::Object(properties)) => {
                let properties: Map<String, Value> = properties
                    .iter()
                    .map(|(name, property)| (name.clone(), property_schema(property)))
                    .collect();
                object.insert(key.clone(), properties.into());
            }
            ("required", Value::Array(names)) if names.iter().all(Value::is_string) => {
                object.insert(key.clone(), value.clone());
            }
            ("properties" | "required", _) => {}
            _ => {
                object.insert(key.clone(), value.clone());
            }
        }
    }
    object.into()
}

/// A schema that is a boolean, as the object of the same meaning.
fn property_schema(schema: &Value) -> Value {
    match schema {
        Value::Object(_) => schema.clone(),
        Value::Bool(false) => json!({"not": {}}),
        _ => json!({}),
    }
}
