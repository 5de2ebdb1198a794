//! Tool calls in the form in which the request offered the tools.

use serde_json::{Map, Value, json};

use crate::{
    dialect::tools::{Form, Forms},
    turn::ToolCall,
};

/// Writes the calls of one answer.
#[derive(Clone)]
pub struct CallEncoder {
    /// The request offered `functions`, so that there is one call at most, as `function_call`.
    pub legacy: bool,
    forms: Forms,
}

impl CallEncoder {
    pub fn new(legacy: bool, forms: Forms) -> Self {
        Self { legacy, forms }
    }

    /// The member of a message that holds its calls; `None` if there are none.
    pub fn member(&self, calls: &[ToolCall]) -> Option<(&'static str, Value)> {
        let first = calls.first()?;
        Some(if self.legacy {
            ("function_call", function(first))
        } else {
            (
                "tool_calls",
                calls.iter().map(|call| self.one(call)).collect(),
            )
        })
    }

    /// The members of a delta that hold one call, the `index`th of its answer.
    pub fn delta(&self, call: &ToolCall, index: usize) -> Value {
        if self.legacy {
            return json!({"function_call": function(call)});
        }
        let mut one = Map::from_iter([("index".to_owned(), index.into())]);
        one.extend(self.one(call));
        json!({ "tool_calls": [one] })
    }

    fn one(&self, call: &ToolCall) -> Map<String, Value> {
        let is_text = self.forms.get(&call.name).is_some_and(|form| form.is_text);
        let (kind, inner) = if is_text {
            let input = Form::text(&call.arguments);
            ("custom", json!({"name": call.name, "input": input}))
        } else {
            ("function", function(call))
        };
        Map::from_iter([
            ("id".to_owned(), call.id.as_str().into()),
            ("type".to_owned(), kind.into()),
            (kind.to_owned(), inner),
        ])
    }
}

fn function(call: &ToolCall) -> Value {
    json!({"name": call.name, "arguments": call.arguments})
}
