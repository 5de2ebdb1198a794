//! The forms in which models write calls: when each is complete, and what it then means.

use super::Piece;
use super::json::{self, Scanner};
use super::opening::CALL;
use super::xml::{self, Unread, Written};
use crate::boundary::catalog::ClientCall;
use crate::boundary::decide::Decider;

/// How far a block has come.
pub(super) enum Progress {
    /// It continues.
    More,
    /// It is not a call after all.
    No,
    /// So many bytes are these pieces.
    Found(usize, Vec<Piece>),
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
        /// The tool, if the value is its arguments alone.
        tool: Option<String>,
        /// The calls before the one that is being read.
        made: Vec<ClientCall>,
    },
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
    /// A JSON value, and `close` behind it. It is a call, or the arguments of `tool`.
    pub(super) fn json(close: &str, rule: CallRule, tool: Option<&str>, start: usize) -> Self {
        let form = CallForm::Json {
            scanner: Scanner::default(),
            close: close.to_owned(),
            rule,
            tool: tool.map(str::to_owned),
            made: Vec::new(),
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
                tool,
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
                let written = || match &*tool {
                    Some(name) => Some(vec![(name.clone(), json::arguments(json)?)]),
                    None => json::calls(json),
                };
                let next = after.trim_start();
                let len = held.len() - after.len();
                match rule {
                    CallRule::AskedFor => return found(len, calls(written(), decider, true)),
                    CallRule::Fits => return found(len, calls(written(), decider, false)),
                    CallRule::FitsAlone if !next.is_empty() => return Progress::No,
                    CallRule::FitsAlone if !last => return Progress::More,
                    CallRule::FitsAlone => return found(held.len(), whole(json, decider)),
                    CallRule::FitsAtTheEnd if !complete && CALL.starts_with(next) => {
                        return Progress::More;
                    }
                    CallRule::FitsAtTheEnd => {}
                }
                match calls(written(), decider, false) {
                    Some(more) => made.extend(more),
                    None => return Progress::No,
                }
                if next.is_empty() {
                    return found(held.len(), Some(std::mem::take(made)));
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
            CallForm::Element { name } => {
                let close = format!("</{name}>");
                while let Some(at) = held[self.searched..].find(&close) {
                    let at = self.searched + at;
                    let len = at + close.len();
                    match xml::parse(name, &held[self.start..at]) {
                        Ok(Written::Calls(list)) => {
                            return found(len, calls(Some(list), decider, false));
                        }
                        Ok(Written::Text(text)) => {
                            return Progress::Found(len, vec![Piece::Text(text)]);
                        }
                        Err(Unread::No) => return Progress::No,
                        // The closing tag was part of a value.
                        Err(Unread::Unclosed) => self.searched = len,
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

fn found(len: usize, made: Option<Vec<ClientCall>>) -> Progress {
    match made {
        Some(made) => Progress::Found(len, made.into_iter().map(Piece::Call).collect()),
        None => Progress::No,
    }
}

/// The client's calls for what was written, if there is anything and all of it is offered.
fn calls(
    list: Option<Vec<json::ParsedCall>>,
    decider: &Decider,
    asked_for: bool,
) -> Option<Vec<ClientCall>> {
    let made = list?.into_iter().map(|(name, args)| {
        decider
            .text(&name, &args)
            .filter(|made| asked_for || made.problems.is_empty())
    });
    let made: Option<Vec<ClientCall>> = made.collect();
    made.filter(|made| !made.is_empty())
}

/// The call that a whole answer is: named, or the arguments of the one tool that must be called.
fn whole(json: &str, decider: &Decider) -> Option<Vec<ClientCall>> {
    calls(json::calls(json), decider, false).or_else(|| {
        let call = (decider.forced()?.to_owned(), json::arguments(json)?);
        calls(Some(vec![call]), decider, false)
    })
}
