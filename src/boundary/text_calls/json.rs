//! Calls written as JSON.

use serde_json::{Map, Value};

/// A tool's name and its arguments, as written.
pub(super) type ParsedCall = (String, Map<String, Value>);

/// Finds the end of a JSON object or list in text that comes in parts.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    depth: usize,
    in_text: bool,
    escaped: bool,
}

impl Scanner {
    /// The end of the value, once it has come; `at` is how far the text has been looked at.
    pub(super) fn end(&mut self, text: &str, at: &mut usize) -> Option<usize> {
        if *at > 0 && self.depth == 0 && self.is_done(text, *at) {
            return Some(*at);
        }
        for byte in text.as_bytes()[*at..].iter() {
            *at += 1;
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_text => self.escaped = true,
                b'"' => self.in_text = !self.in_text,
                _ if self.in_text => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(*at);
                    }
                }
                _ => {}
            }
        }
        None
    }

    fn is_done(&self, text: &str, at: usize) -> bool {
        matches!(text.as_bytes().get(at - 1), Some(b'}' | b']')) && !self.in_text
    }
}

/// Whether this may be the beginning of a call's object: its first member is the name.
pub(super) fn may_be_call(text: &str) -> bool {
    const MEMBERS: &[&str] = &[
        "\"name\"",
        "\"tool\"",
        "\"tool_name\"",
        "\"tool_call\"",
        "\"function\"",
    ];
    let Some(inner) = text.trim_start().strip_prefix('{') else {
        return text.trim().is_empty();
    };
    let inner = inner.trim_start();
    MEMBERS
        .iter()
        .any(|member| inner.starts_with(member) || member.starts_with(inner))
}

/// The calls that a JSON text stands for: one, or a list of them.
pub(super) fn calls(text: &str) -> Option<Vec<ParsedCall>> {
    match parse(text)? {
        Value::Array(items) => items.into_iter().map(call).collect(),
        one => Some(vec![call(one)?]),
    }
}

/// A call's arguments: an object, or the text of one.
pub(super) fn arguments(text: &str) -> Option<Map<String, Value>> {
    object(parse(text)?)
}

fn call(value: Value) -> Option<ParsedCall> {
    let mut map = match value {
        Value::Object(map) => map,
        _ => return None,
    };
    for wrapper in ["tool_call", "function"] {
        if let Some(Value::Object(inner)) = map.get(wrapper) {
            map = inner.clone();
        }
    }
    let name = ["name", "tool", "tool_name", "function"]
        .iter()
        .find_map(|key| map.get(*key)?.as_str())?
        .to_owned();
    let args = ["arguments", "parameters", "args", "input"]
        .iter()
        .find_map(|key| map.remove(*key));
    Some((name, args.map_or_else(|| Some(Map::new()), object)?))
}

fn object(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(map) => Some(map),
        Value::String(text) if text.trim().is_empty() => Some(Map::new()),
        Value::String(text) => serde_json::from_str(&text).ok(),
        Value::Null => Some(Map::new()),
        _ => None,
    }
}

/// JSON as models write it: texts may hold bare newlines and tabs.
fn parse(text: &str) -> Option<Value> {
    serde_json::from_str(text)
        .or_else(|_| serde_json::from_str(&escaped(text)))
        .ok()
}

fn escaped(text: &str) -> String {
    let (mut in_text, mut after_backslash) = (false, false);
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' if in_text => out.push_str("\\n"),
            '\r' if in_text => out.push_str("\\r"),
            '\t' if in_text => out.push_str("\\t"),
            _ => out.push(c),
        }
        if c == '"' && !after_backslash {
            in_text = !in_text;
        }
        after_backslash = in_text && c == '\\' && !after_backslash;
    }
    out
}
