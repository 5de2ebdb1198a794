//! The forms in which models write calls: how each begins, and when it is complete.

use super::json::{self, Scanner};
use super::xml::{self, Parsed};
use crate::boundary::TextCalls;
use crate::boundary::catalog::ClientCall;
use crate::boundary::decide::Decider;

/// Names longer than this are no tool's, and tags longer than this no call's.
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
    /// It goes on.
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
    /// A JSON value and then `close`. Only the protocol that the prompt asks for may hold
    /// arguments that don't fit: the client tells the model what is wrong.
    Json {
        scanner: Scanner,
        close: String,
        asked_for: bool,
        /// Whether nothing may follow.
        alone: bool,
    },
    /// `[Called tool: name(` JSON `)]`.
    Echo { scanner: Scanner, name: String },
    /// `<name>` children `</name>`.
    Element { name: String },
}

impl CallBlock {
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

    /// Looks at what has come. `last` says that nothing follows in this answer.
    pub(super) fn advance(&mut self, held: &str, decider: &Decider, last: bool) -> Progress {
        match &mut self.form {
            CallForm::Json {
                scanner,
                close,
                asked_for,
                alone,
            } => {
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
                if *alone && !after.trim().is_empty() {
                    return Progress::No;
                }
                if *alone && !last {
                    return Progress::More;
                }
                let len = if *alone {
                    held.len()
                } else {
                    held.len() - after.len()
                };
                calls(
                    json::calls(&held[self.start..end]),
                    len,
                    decider,
                    *asked_for,
                )
            }
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

/// What a line outside code begins with.
pub(super) fn opening(line: &str, mode: TextCalls, decider: &Decider) -> Opening {
    const CALL: &str = "<tool_call>";
    if CALL.starts_with(line) && !line.is_empty() {
        return Opening::Maybe;
    }
    if let Some(rest) = line.strip_prefix(CALL) {
        let content = rest.trim_start();
        return match content.chars().next() {
            None => Opening::Maybe,
            Some('{' | '[') => {
                let form = CallForm::Json {
                    scanner: Scanner::default(),
                    close: "</tool_call>".to_owned(),
                    asked_for: true,
                    alone: false,
                };
                Opening::Block(CallBlock::new(form, line.len() - content.len()))
            }
            Some(_) => Opening::No,
        };
    }
    match mode {
        TextCalls::Lenient if line.starts_with('<') => element(line, decider),
        TextCalls::Lenient if line.starts_with('[') => echo(line, decider),
        _ => Opening::No,
    }
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
pub(super) fn fenced(content: &str, info: &str, silent: bool, mark: char, len: usize) -> Opening {
    let named = info == "tool_call";
    if !(named || silent && matches!(info, "" | "json")) {
        return Opening::No;
    }
    if !json::may_be_call(content) {
        return Opening::No;
    }
    if !content.contains(':') {
        return Opening::Maybe;
    }
    let form = CallForm::Json {
        scanner: Scanner::default(),
        close: mark.to_string().repeat(len),
        asked_for: false,
        alone: !named,
    };
    let start = content.len() - content.trim_start().len();
    Opening::Block(CallBlock::new(form, start))
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || "_-.".contains(c))
}
