//! Calls written as XML, in Claude's style (`<invoke name="…"><parameter name="…">`) and in Cline's
//! (`<tool><argument>…`).
//!
//! It is markup by habit, not by rule: values are taken as they stand, with their `<` and `&`, up
//! to the closing tag after which the rest reads as elements again.

use serde_json::{Map, Value};

use super::json::ParsedCall;

/// What stands between a tool's tags.
pub(super) enum Written {
    Calls(Vec<ParsedCall>),
    /// A result to show.
    Text(String),
}

/// Why it is neither.
pub(super) enum Unread {
    No,
    /// A value does not end in it: the closing tag belongs to the value.
    Unclosed,
}

/// One element: its tag's text, and what is in it.
struct Element<'a> {
    tag: &'a str,
    value: &'a str,
}

/// Whether an element of this name holds calls in Claude's style.
pub(super) fn is_wrapper(name: &str) -> bool {
    matches!(local(name), "function_calls" | "invoke")
}

/// Whether an element of this name is Cline's way of giving the final answer.
pub(super) fn is_plain_text(name: &str) -> bool {
    name == "attempt_completion"
}

/// Reads the content of the element `name`; for a lone `invoke` with its opening tag.
pub(super) fn parse(name: &str, content: &str) -> Result<Written, Unread> {
    match local(name) {
        "function_calls" => invocations(&elements(content)?),
        "invoke" => {
            let tag = content.trim_start().strip_prefix('<');
            let tag = tag.and_then(|rest| rest.split_once('>'));
            let (tag, value) = tag.ok_or(Unread::No)?;
            invocations(&[Element { tag, value }])
        }
        _ => {
            let children = elements(content)?;
            if is_plain_text(name) {
                let result = children.iter().find(|child| child.tag == "result");
                return Ok(Written::Text(text(result.ok_or(Unread::No)?.value)));
            }
            let args = children
                .iter()
                .map(|child| (child.tag.to_owned(), Value::String(text(child.value))))
                .collect();
            Ok(Written::Calls(vec![(name.to_owned(), args)]))
        }
    }
}

fn invocations(invokes: &[Element]) -> Result<Written, Unread> {
    let mut calls = Vec::new();
    for invoke in invokes {
        let name = attribute(invoke.tag, "invoke").ok_or(Unread::No)?;
        let mut args = Map::new();
        for parameter in elements(invoke.value)? {
            let key = attribute(parameter.tag, "parameter").ok_or(Unread::No)?;
            args.insert(key.to_owned(), Value::String(text(parameter.value)));
        }
        calls.push((name.to_owned(), args));
    }
    match calls.is_empty() {
        true => Err(Unread::No),
        false => Ok(Written::Calls(calls)),
    }
}

/// The `name` attribute of a tag that is an `element`.
fn attribute<'a>(tag: &'a str, element: &str) -> Option<&'a str> {
    let (name, rest) = tag.split_once(char::is_whitespace)?;
    if local(name) != element {
        return None;
    }
    let value = rest.trim().strip_prefix("name=")?;
    let value = value
        .split_once(char::is_whitespace)
        .map_or(value, |(v, _)| v);
    value
        .strip_prefix('"')
        .and_then(|v| v.strip_suffix('"'))
        .or_else(|| value.strip_prefix('\'').and_then(|v| v.strip_suffix('\'')))
        .filter(|name| !name.is_empty())
}

/// A name without its namespace.
fn local(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}

/// The elements that a text consists of. Nothing but white space may stand between them.
fn elements(content: &str) -> Result<Vec<Element<'_>>, Unread> {
    let mut elements = Vec::new();
    let mut rest = content.trim();
    while !rest.is_empty() {
        let inner = rest.strip_prefix('<').ok_or(Unread::No)?;
        let end = inner.find(['>', '\n']).ok_or(Unread::No)?;
        let (tag, after) = (&inner[..end], &inner[end..]);
        let after = after.strip_prefix('>').ok_or(Unread::No)?;
        let name = tag.split_whitespace().next().ok_or(Unread::No)?;
        let plain = |c: char| c.is_alphanumeric() || "_-.:".contains(c);
        if !name.chars().all(plain) {
            return Err(Unread::No);
        }
        let close = format!("</{name}>");
        // The first closing tag after which the text continues as elements or ends.
        let at = after
            .match_indices(&close)
            .map(|(at, _)| at)
            .find(|at| {
                let next = after[at + close.len()..].trim_start();
                next.is_empty()
                    || next
                        .strip_prefix('<')
                        .is_some_and(|next| next.starts_with(char::is_alphabetic))
            })
            .ok_or(Unread::Unclosed)?;
        elements.push(Element {
            tag,
            value: &after[..at],
        });
        rest = after[at + close.len()..].trim_start();
    }
    Ok(elements)
}

/// A value's text: a `CDATA` section's inside; a block's without the newline after its opening tag;
/// a single line without the white space around it.
fn text(value: &str) -> String {
    let trimmed = value.trim();
    if let Some(inner) = trimmed
        .strip_prefix("<![CDATA[")
        .and_then(|rest| rest.strip_suffix("]]>"))
    {
        return inner.to_owned();
    }
    if trimmed.contains('\n') {
        value.strip_prefix('\n').unwrap_or(value).to_owned()
    } else {
        trimmed.to_owned()
    }
}
