//! The forms in which models write calls: how each begins, and when it is complete.

use super::json::{self, Scanner};
use super::xml::{self, Parsed};
use crate::boundary::TextCalls;
use crate::boundary::catalog::ClientCall;
use crate::boundary::decide::Decider;

/// Names longer than this are not a tool's, and tags longer than this not a call's.
const MAX_NAME: usize = 128;

/// What a line begins with.
pub(super) enum Opening {
    Block(CallBlock),
    /// It may begin a block: more text will tell.
    Maybe,
    No,
}

/// How far a block has come.
pub(super) enum Progress {
    /// It continues.
    More,
    /// It is not a call after all.
    No,
    /// So many bytes are calls.
    Calls(usize, Vec<ClientCall>),
    /// So many bytes stand for this text.
    Text(usize, String),
}

/// A block whose marker is complete.
#[derive(Debug)]
pub(super) struct CallBlock {
    form: CallForm,
    /// Where its content begins, in the held text.
    start: usize,
    /// How far it has been searched.
    searched: usize,
}

#[derive(Debug)]
enum CallForm {
    /// A JSON value and then `close`.
    Json {
        scanner: Scanner,
        close: String,
        rule: CallRule,
        /// The calls before the one that is being read.
        made: Vec<ClientCall>,
    },
    /// `[Called tool: name(` JSON `)]`.
    Echo { scanner: Scanner, name: String },
    /// `<name>` children `</name>`.
    Element { name: String },
}

/// When a JSON value is a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CallRule {
    /// Always: it is the protocol that the prompt asks for. Even arguments that don't fit go to the
    /// client, which tells the model what is wrong.
    AskedFor,
    /// If it fits.
    Fits,
    /// If it fits, and is followed by nothing but further calls.
    FitsAtTheEnd,
    /// If it fits, and is the whole answer.
    FitsAlone,
}

impl CallBlock {
    fn json(close: &str, rule: CallRule, start: usize) -> Self {
        let form = CallForm::Json {
            scanner: Scanner::default(),
            close: close.to_owned(),
            rule,
            made: Vec::new(),
        };
        Self::new(form, start)
    }

    fn new(form: CallForm, start: usize) -> Self {
        Self {
            form,
            start,
            searched: start,
        }
    }

    /// The block, `offset` bytes further on.
    pub(super) fn at(mut self, offset: usize) -> Self {
        self.start += offset;
        self.searched += offset;
        self
    }

    /// Looks at what has come. `complete` says that nothing follows but a tool of the agent's, `last`
    /// that nothing at all follows in this answer.
    pub(super) fn advance(
        &mut self,
        held: &str,
        decider: &Decider,
        complete: bool,
        last: bool,
    ) -> Progress {
        match &mut self.form {
            CallForm::Json {
                scanner,
                close,
                rule,
                made,
            } => loop {
                let Some(end) = scanner.end(held, &mut self.searched) else {
                    return Progress::More;
                };
                let rest = held[end..].trim_start();
                let Some(after) = rest.strip_prefix(close.as_str()) else {
                    return if close.starts_with(rest) {
                        Progress::More
                    } else {
                        Progress::No
                    };
                };
                let json = &held[self.start..end];
                let next = after.trim_start();
                let len = held.len() - after.len();
                match rule {
                    CallRule::AskedFor => return calls(json::calls(json), len, decider, true),
                    CallRule::Fits => return calls(json::calls(json), len, decider, false),
                    CallRule::FitsAlone if !next.is_empty() => return Progress::No,
                    CallRule::FitsAlone if !last => return Progress::More,
                    CallRule::FitsAlone => return whole(json, held.len(), decider),
                    CallRule::FitsAtTheEnd if !complete && CALL.starts_with(next) => {
                        return Progress::More;
                    }
                    CallRule::FitsAtTheEnd => {}
                }
                match calls(json::calls(json), len, decider, false) {
                    Progress::Calls(_, more) => made.extend(more),
                    other => return other,
                }
                if next.is_empty() {
                    return Progress::Calls(held.len(), std::mem::take(made));
                }
                match next.strip_prefix(CALL) {
                    Some(next) if next.trim_start().starts_with(['{', '[']) => {
                        *scanner = Scanner::default();
                        self.start = held.len() - next.len();
                        self.searched = self.start;
                    }
                    _ => return Progress::No,
                }
            },
            CallForm::Echo { scanner, name } => {
                let Some(end) = scanner.end(held, &mut self.searched) else {
                    return Progress::More;
                };
                let rest = held[end..].trim_start();
                let Some(after) = rest.strip_prefix(")]") else {
                    return if ")]".starts_with(rest) {
                        Progress::More
                    } else {
                        Progress::No
                    };
                };
                let len = held.len() - after.len();
                let call = json::arguments(&held[self.start..end]).map(|args| (name.clone(), args));
                calls(call.map(|call| vec![call]), len, decider, false)
            }
            CallForm::Element { name } => {
                let close = format!("</{name}>");
                while let Some(at) = held[self.searched..].find(&close) {
                    let at = self.searched + at;
                    let len = at + close.len();
                    match xml::parse(name, &held[self.start..at]) {
                        Parsed::Calls(list) => return calls(Some(list), len, decider, false),
                        Parsed::Text(text) => return Progress::Text(len, text),
                        Parsed::No => return Progress::No,
                        // The closing tag was part of a value.
                        Parsed::Unclosed => self.searched = len,
                    }
                }
                let mut back = held.len().saturating_sub(close.len()).max(self.searched);
                while !held.is_char_boundary(back) {
                    back -= 1;
                }
                self.searched = back;
                Progress::More
            }
        }
    }
}

/// The client's calls for what was written, if all of it is offered.
fn calls(
    list: Option<Vec<json::ParsedCall>>,
    len: usize,
    decider: &Decider,
    asked_for: bool,
) -> Progress {
    let made: Option<Vec<ClientCall>> = list
        .into_iter()
        .flatten()
        .map(|(name, args)| {
            decider
                .text(&name, &args)
                .filter(|made| asked_for || made.problems.is_empty())
        })
        .collect();
    match made {
        Some(made) if !made.is_empty() => Progress::Calls(len, made),
        _ => Progress::No,
    }
}

/// The call that a whole answer is: named, or the arguments of the one tool that must be called.
fn whole(json: &str, len: usize, decider: &Decider) -> Progress {
    match calls(json::calls(json), len, decider, false) {
        Progress::No => {
            let forced = decider.forced().zip(json::arguments(json));
            let call = forced.map(|(name, args)| vec![(name.to_owned(), args)]);
            calls(call, len, decider, false)
        }
        found => found,
    }
}

const CALL: &str = "<tool_call>";
const CLOSE: &str = "</tool_call>";

/// What a line outside code begins with. `silent` says that nothing stands before it.
pub(super) fn opening(line: &str, mode: TextCalls, silent: bool, decider: &Decider) -> Opening {
    if CALL.starts_with(line) && !line.is_empty() {
        return Opening::Maybe;
    }
    if let Some(rest) = line.strip_prefix(CALL) {
        let content = rest.trim_start();
        return match content.chars().next() {
            None => Opening::Maybe,
            Some('{' | '[') => {
                let start = line.len() - content.len();
                Opening::Block(CallBlock::json(CLOSE, CallRule::AskedFor, start))
            }
            Some(_) => Opening::No,
        };
    }
    match mode {
        TextCalls::Lenient if silent && line.starts_with('{') => {
            match may_be_whole(line, decider) {
                Some(true) => Opening::Block(CallBlock::json("", CallRule::FitsAlone, 0)),
                Some(false) => Opening::Maybe,
                None => Opening::No,
            }
        }
        TextCalls::Lenient if line.starts_with('<') => element(line, decider),
        TextCalls::Lenient if line.starts_with('[') => echo(line, decider),
        _ => Opening::No,
    }
}

/// A call behind text on its line, from its `<` on.
pub(super) fn inside(text: &str) -> Opening {
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
            Opening::Block(CallBlock::json(CLOSE, CallRule::FitsAtTheEnd, start))
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
            let form = CallForm::Element {
                name: name.to_owned(),
            };
            // A lone `<invoke name="…">` is read with its own tag.
            let start = if whole { end + 1 } else { 0 };
            Opening::Block(CallBlock::new(form, start))
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
    let form = CallForm::Echo {
        scanner: Scanner::default(),
        name: name.to_owned(),
    };
    Opening::Block(CallBlock::new(form, ECHO.len() + name.len() + 1))
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
            Opening::Block(CallBlock::json(&close, rule, start))
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
