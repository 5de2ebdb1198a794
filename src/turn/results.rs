//! Which result answers which call.

use std::collections::HashMap;

use super::{Message, ToolCall, ToolResult};

/// All results of a conversation, by the id of the call. A client may send them in any order, and
/// ids may repeat: legacy functions and Gemini have only names.
#[derive(Debug)]
pub struct Results<'a> {
    /// Those that are left, the next one last.
    by_id: HashMap<&'a str, Vec<&'a ToolResult>>,
    /// How many were left out, because another answered the same call later.
    pub doubled: usize,
}

impl<'a> Results<'a> {
    /// The results in a conversation, or in a part of one. Of results beyond the number of calls the last counts.
    #[must_use]
    pub fn new(messages: &'a [Message]) -> Self {
        let mut by_id: HashMap<&str, Vec<&ToolResult>> = HashMap::new();
        for result in messages.iter().flat_map(Message::tool_results) {
            by_id.entry(&result.call_id).or_default().push(result);
        }
        let mut calls: HashMap<&str, usize> = HashMap::new();
        for call in messages.iter().flat_map(Message::tool_calls) {
            *calls.entry(&call.id).or_default() += 1;
        }
        let mut doubled = 0;
        for (id, results) in &mut by_id {
            let calls = calls.get(id).copied().unwrap_or(results.len());
            if results.len() > calls {
                doubled += results.len() - calls;
                results.drain(calls - 1..results.len() - 1);
            }
            results.reverse();
        }
        Self { by_id, doubled }
    }

    /// Takes the result of a call: the first call of an id has the first result.
    pub fn claim(&mut self, call: &ToolCall) -> Option<&'a ToolResult> {
        self.by_id.get_mut(call.id.as_str())?.pop()
    }

    /// Takes a result that no call has claimed.
    pub fn take(&mut self, result: &ToolResult) -> Option<&'a ToolResult> {
        let left = self.by_id.get_mut(result.call_id.as_str())?;
        let at = left.iter().position(|other| std::ptr::eq(*other, result))?;
        Some(left.remove(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::turn::{Part, Role, Turn};

    fn call(id: &str) -> ToolCall {
        ToolCall {
            id: id.to_owned(),
            name: "read".to_owned(),
            arguments: "{}".to_owned(),
        }
    }

    fn result(id: &str, content: &str) -> Message {
        let result = ToolResult {
            call_id: id.to_owned(),
            name: None,
            content: content.to_owned(),
            is_error: false,
        };
        Message::of(Role::Tool, vec![Part::ToolResult(result)])
    }

    #[test]
    fn each_call_has_its_result() {
        let calls = |ids: &[&str]| {
            let parts = ids.iter().map(|id| Part::ToolCall(call(id))).collect();
            Message::of(Role::Assistant, parts)
        };
        let turn = Turn {
            messages: vec![
                calls(&["a", "name"]),
                result("name", "1"),
                result("a", "old"),
                result("a", "new"),
                calls(&["name", "b"]),
                result("name", "2"),
                result("name", "3"),
                result("lost", "x"),
            ],
            ..Turn::default()
        };
        let mut results = Results::new(&turn.messages);
        assert_eq!(results.doubled, 2);
        let mut claim = |id| results.claim(&call(id)).map(|it| it.content.as_str());
        assert_eq!(claim("a"), Some("new"));
        assert_eq!(claim("name"), Some("1"));
        assert_eq!(claim("name"), Some("3"));
        assert_eq!((claim("b"), claim("a")), (None, None));
        let left: Vec<&str> = turn
            .messages
            .iter()
            .flat_map(Message::tool_results)
            .filter_map(|result| Some(results.take(result)?.content.as_str()))
            .collect();
        assert_eq!(left, ["x"]);
    }
}
