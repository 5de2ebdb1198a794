//! How each of the forms in which models write calls begins.

use super::form::{CallBlock, CallRule};
use super::{json, xml};
use crate::boundary::TextCalls;
use crate::boundary::decide::Decider;

/// The mark of the protocol that the prompt asks for.
pub(super) const CALL: &str = "<tool_call>";
const CLOSE: &str = "</tool_call>";

/// Names longer than this are not a tool's, and tags longer than this not a call's.
const MAX_NAME: usize = 128;

/// What a line begins with.
pub(super) enum Opening {
    Block(CallBlock),
    /// It may begin a block: more text will tell.
    Maybe,
    No,
}

/// What a line outside code begins with. `silent` says that nothing stands before it.
pub(super) fn opening(line: &str, mode: TextCalls, silent: bool, decider: &Decider) -> Opening {
    if CALL.starts_with(line) || line.starts_with(CALL) {
        return marked(line, CallRule::AskedFor);
    }
    match mode {
        TextCalls::Lenient if silent && line.starts_with('{') => {
            match may_be_whole(line, decider) {
                Some(true) => Opening::Block(CallBlock::json("", CallRule::FitsAlone, None, 0)),
                Some(false) => Opening::Maybe,
                None => Opening::No,
            }
        }
        TextCalls::Lenient if line.starts_with('<') => element(line, decider),
        TextCalls::Lenient if line.starts_with('[') => echo(line, decider),
        _ => Opening::No,
    }
}

/// What begins with the protocol's mark.
pub(super) fn marked(text: &str, rule: CallRule) -> Opening {
    if CALL.starts_with(text) {
        return Opening::Maybe;
    }
    let Some(content) = text.strip_prefix(CALL).map(str::trim_start) else {
        return Opening::No;
    };
    match content.chars().next() {
        None => Opening::Maybe,
        Some('{' | '[') => {
            let start = text.len() - content.len();
            Opening::Block(CallBlock::json(CLOSE, rule, None, start))
        }
        Some(_) => Opening::No,
    }
}

/// Whether an answer that begins with this JSON may be a call as a whole: `Some(true)` if it begins
/// like one, `Some(false)` if more text will tell.
fn may_be_whole(json: &str, decider: &Decider) -> Option<bool> {
    if decider.forced().is_some() {
        return Some(true);
    }
    json::may_be_call(json).then(|| json.contains(':'))
}

/// `<name>` of an offered tool, or one of Claude's wrappers, with an element inside.
fn element(line: &str, decider: &Decider) -> Opening {
    let tag = line[1..].split(['>', '\n']).next().unwrap_or_default();
    let plain = |c: char| c.is_alphanumeric() || "_-:. =\"'".contains(c);
    if tag.len() > MAX_NAME || !tag.chars().all(plain) {
        return Opening::No;
    }
    let end = 1 + tag.len();
    match line[end..].chars().next() {
        None => return Opening::Maybe,
        Some('>') => {}
        Some(_) => return Opening::No,
    }
    let name = tag.split_whitespace().next().unwrap_or_default();
    let wrapper = xml::is_wrapper(name);
    let whole = name.len() == tag.len();
    if !(wrapper || whole && (xml::is_plain_text(name) || is_name(name) && decider.offers(name))) {
        return Opening::No;
    }
    let content = line[end + 1..].trim_start();
    match content.chars().next() {
        None => Opening::Maybe,
        Some('<') => {
            // A lone `<invoke name="…">` is read with its own tag.
            let start = if whole { end + 1 } else { 0 };
            Opening::Block(CallBlock::element(name, start))
        }
        Some(_) => Opening::No,
    }
}

/// `[Called tool: name({…})]`, the way transcripts put it.
fn echo(line: &str, decider: &Decider) -> Opening {
    const ECHO: &str = "[Called tool: ";
    if ECHO.starts_with(line) {
        return Opening::Maybe;
    }
    let Some(rest) = line.strip_prefix(ECHO) else {
        return Opening::No;
    };
    let name = rest.split('(').next().unwrap_or_default();
    if name.len() > MAX_NAME || !is_name(name) {
        return Opening::No;
    }
    if name.len() == rest.len() {
        return Opening::Maybe;
    }
    if !decider.offers(name) {
        return Opening::No;
    }
    let start = ECHO.len() + name.len() + 1;
    Opening::Block(CallBlock::json(")]", CallRule::Fits, Some(name), start))
}

/// A fenced block, from its first line's end on: a call if its info text says so, or if it is the
/// whole answer and holds a call's JSON.
pub(super) fn fenced(
    content: &str,
    info: &str,
    silent: bool,
    (mark, len): (char, usize),
    decider: &Decider,
) -> Opening {
    let start = content.len() - content.trim_start().len();
    let json = &content[start..];
    let rule = match info {
        "tool_call" => CallRule::Fits,
        "" | "json" if silent => CallRule::FitsAlone,
        _ => return Opening::No,
    };
    let begins = match rule {
        _ if json.is_empty() => Some(false),
        _ if !json.starts_with('{') => None,
        CallRule::FitsAlone => may_be_whole(json, decider),
        _ => json::may_be_call(json).then(|| json.contains(':')),
    };
    match begins {
        Some(true) => {
            let close = mark.to_string().repeat(len);
            Opening::Block(CallBlock::json(&close, rule, None, start))
        }
        Some(false) => Opening::Maybe,
        None => Opening::No,
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || "_-.".contains(c))
}
