//! The forms in which models write calls: when each is complete, and what it then means.

use super::json::{self, Scanner};
use super::opening::CALL;
use super::xml::{self, Parsed};
use crate::boundary::catalog::ClientCall;
use crate::boundary::decide::Decider;

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
pub(super) enum CallRule {
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
    /// A JSON value, and `close` behind it.
    pub(super) fn json(close: &str, rule: CallRule, start: usize) -> Self {
        let form = CallForm::Json {
            scanner: Scanner::default(),
            close: close.to_owned(),
            rule,
            made: Vec::new(),
        };
        Self::new(form, start)
    }

    /// `[Called tool: name(` stands before `start`.
    pub(super) fn echo(name: &str, start: usize) -> Self {
        let form = CallForm::Echo {
            scanner: Scanner::default(),
            name: name.to_owned(),
        };
        Self::new(form, start)
    }

    /// `<name>` stands before `start`.
    pub(super) fn element(name: &str, start: usize) -> Self {
        let name = name.to_owned();
        Self::new(CallForm::Element { name }, start)
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
