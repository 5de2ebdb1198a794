//! Results of tool calls that come without a conversation: the body of `POST /v1/tool_results`.
//!
//! ```text
//! {"tool_call_id": "call_1", "content": "done"}
//! {"results": [{"tool_call_id": "call_1", "error": "no such file"}], "stream": true}
//! ```

use super::{
    content,
    field::{self, Field},
};
use crate::turn::{Message, ToolResult, TurnError};

/// Results that a client posts.
#[derive(Debug, PartialEq)]
pub struct PostedResults {
    /// Each a message of its own.
    pub results: Vec<Message>,
    /// Whether the answer that continues is to be streamed at once.
    pub stream: bool,
}

impl PostedResults {
    /// Reads a request body.
    ///
    /// # Errors
    /// `InvalidRequest` that names the field at fault.
    pub fn decode(body: &[u8]) -> Result<Self, TurnError> {
        let value = field::parse(body)?;
        let body = Field::root(&value);
        let results = match body.get("results") {
            None => vec![result(&body)?],
            Some(list) => {
                let results = list.items()?.map(|item| result(&item));
                let results: Vec<_> = results.collect::<Result<_, _>>()?;
                if results.is_empty() {
                    return Err(list.fail("needs at least one result"));
                }
                results
            }
        };
        Ok(Self {
            results,
            stream: body.opt_bool("stream")?.unwrap_or(false),
        })
    }
}

fn result(item: &Field<'_>) -> Result<Message, TurnError> {
    item.object()?;
    let call_id = item.require("tool_call_id")?.str()?.to_owned();
    let error = item.opt_str("error")?;
    let (mut text, files) = match (item.get("content"), error) {
        (None, Some(_)) => Default::default(),
        _ => content::output(&item.require("content")?)?,
    };
    if let Some(error) = error {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(error);
    }
    let is_error = item.opt_bool("is_error")?.unwrap_or(error.is_some());
    let result = ToolResult {
        call_id,
        name: item.opt_str("name")?.map(str::to_owned),
        content: text,
        is_error,
    };
    Ok(Message::result(result, files))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn one_result_or_several() {
        let decode = |body: serde_json::Value| PostedResults::decode(body.to_string().as_bytes());
        let one = decode(json!({"tool_call_id": "a", "content": "x", "error": "y"})).unwrap();
        let [message] = &one.results[..] else {
            unreachable!("one result")
        };
        let result = message.tool_results().next().unwrap();
        assert_eq!((&*result.content, result.is_error), ("x\ny", true));
        assert!(!one.stream);
        let list = json!([{"tool_call_id": "a", "content": [{"type": "text", "text": "x"}]},
            {"tool_call_id": "b", "content": "", "is_error": true}]);
        let two = decode(json!({"results": list, "stream": true})).unwrap();
        assert_eq!((two.results.len(), two.stream), (2, true));
        for (wrong, param) in [
            (json!([]), None),
            (json!({"content": "x"}), Some("tool_call_id")),
            (
                json!({"tool_call_id": 3, "content": "x"}),
                Some("tool_call_id"),
            ),
            (json!({"tool_call_id": "a"}), Some("content")),
            (json!({"tool_call_id": "a", "content": 3}), Some("content")),
            (json!({"tool_call_id": "a", "error": {}}), Some("error")),
            (json!({"results": []}), Some("results")),
            (json!({"results": {}}), Some("results")),
            (
                json!({"results": [{"tool_call_id": "a"}]}),
                Some("results[0].content"),
            ),
            (
                json!({"tool_call_id": "a", "content": "", "stream": 1}),
                Some("stream"),
            ),
        ] {
            let error = decode(wrong.clone()).unwrap_err();
            assert_eq!(error.param.as_deref(), param, "{wrong}: {error}");
        }
    }
}
