//! Calls that the model writes out in its answer.
//!
//! The prompt asks for `<tool_call>{"name": …, "arguments": {…}}</tool_call>` where Cursor has no
//! tool of its own for what the client offers. This finds such blocks in the stream, and in lenient
//! mode the forms that models fall back on, and lets all other text through as it comes: only what
//! may begin a block, or is inside one, is held back. A block counts where it starts a line outside
//! a code fence, is closed, and names an offered tool; in lenient mode a `<tool_call>` counts behind
//! text on its line as well, if nothing but calls follows it. Anything else is text, since a call
//! made of a quotation is worse than one missed.

mod form;
mod json;
mod line;
mod opening;
mod xml;

use memchr::memchr3;

use form::{CallBlock, CallRule};
use line::LinePlace;
use opening::Opening;

use super::TextCalls;
use super::catalog::ClientCall;
use super::decide::Decider;

/// A block longer than this is text.
const MAX_BLOCK: usize = 4 << 20;

/// What a block begins with, up to its content, is no longer than this.
const MAX_OPENING: usize = 4 << 10;

/// Of a fence's first line, only so much is looked at.
const MAX_INFO: usize = 256;

/// What a stretch of the answer is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    Text(String),
    Call(ClientCall),
}

/// Finds the calls in one answer.
#[derive(Debug)]
pub(super) struct Recognizer {
    mode: TextCalls,
    /// Text that is neither passed on nor understood yet.
    held: String,
    /// The block that `held` begins with, if its marker is complete.
    block: Option<CallBlock>,
    /// What has been passed on of the line that `held` begins in.
    line: LinePlace,
    /// The fence that we are inside of: its character and length.
    fence: Option<(char, usize)>,
    /// Whether the answer has said nothing but white space.
    silent: bool,
}

/// What to do with the beginning of the held text.
enum Step {
    /// Nothing, until more text comes.
    Wait,
    /// Pass so many bytes on.
    Pass(usize),
    /// So many bytes are these pieces.
    Found(usize, Vec<Piece>),
}

impl Recognizer {
    pub(super) fn new(mode: TextCalls, has_tools: bool) -> Self {
        Self {
            mode: if has_tools { mode } else { TextCalls::Off },
            held: String::new(),
            block: None,
            line: LinePlace::default(),
            fence: None,
            silent: true,
        }
    }

    /// Takes new text; returns what is certain by now.
    pub(super) fn push(&mut self, text: String, decider: &Decider) -> Vec<Piece> {
        if text.is_empty() {
            return Vec::new();
        }
        // Nothing begins a block inside of a line but `<`, and what may quote it is a backtick.
        let is_plain = || memchr3(b'\n', b'<', b'`', text.as_bytes()).is_none();
        let inside_line = self.held.is_empty() && !self.line.is_start() && is_plain();
        if self.mode == TextCalls::Off || inside_line {
            self.silent &= text.trim().is_empty();
            return vec![Piece::Text(text)];
        }
        self.held.push_str(&text);
        self.advance(decider, false, false)
    }

    /// The text breaks off, for a tool of the agent's: what is held is complete.
    pub(super) fn interrupt(&mut self, decider: &Decider) -> Vec<Piece> {
        let pieces = self.advance(decider, true, false);
        self.line = LinePlace::default();
        self.fence = None;
        pieces
    }

    /// The answer is over.
    pub(super) fn finish(&mut self, decider: &Decider) -> Vec<Piece> {
        self.advance(decider, true, true)
    }

    fn advance(&mut self, decider: &Decider, complete: bool, last: bool) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut held = std::mem::take(&mut self.held);
        let mut rest = held.as_str();
        while !rest.is_empty() {
            match self.step(rest, decider, complete, last) {
                Step::Wait => break,
                Step::Pass(len) => {
                    let (text, after) = rest.split_at(len);
                    rest = after;
                    self.silent &= text.trim().is_empty();
                    self.line.pass(text);
                    match pieces.last_mut() {
                        Some(Piece::Text(before)) => before.push_str(text),
                        _ => pieces.push(Piece::Text(text.to_owned())),
                    }
                }
                Step::Found(len, found) => {
                    rest = &rest[len..];
                    self.silent = false;
                    self.line = LinePlace::default();
                    pieces.extend(found);
                }
            }
        }
        let done = held.len() - rest.len();
        held.drain(..done);
        self.held = held;
        pieces
    }

    fn step(&mut self, held: &str, decider: &Decider, complete: bool, last: bool) -> Step {
        if let Some(mut block) = self.block.take() {
            return match block.advance(held, decider, complete, last) {
                form::Progress::More if !complete && held.len() <= MAX_BLOCK => {
                    self.block = Some(block);
                    Step::Wait
                }
                form::Progress::Found(len, pieces) => Step::Found(len, pieces),
                form::Progress::More | form::Progress::No => {
                    // It is text: its first line goes, the rest is looked at again.
                    if self.line.is_start() {
                        self.fence = fence(held.trim_start_matches(' '));
                    }
                    self.line.quote();
                    Step::Pass(line_end(held))
                }
            };
        }
        if !self.line.is_start() {
            return self.inside(held, 0, decider, (complete, last));
        }
        let line = held.trim_start_matches(' ');
        let indent = held.len() - line.len();
        if indent > 3 {
            self.line.quote();
            return Step::Pass(line_end(held));
        }
        if let Some(fence) = fence(line) {
            return self.fence_line(held, fence, indent, decider, (complete, last));
        }
        // Not enough to tell a fence, or a block's marker.
        if matches!(line, "" | "`" | "``" | "~" | "~~") && !complete {
            return Step::Wait;
        }
        if self.fence.is_some() {
            return Step::Pass(line_end(held));
        }
        let start = prefix(line, MAX_OPENING);
        match opening::opening(start, self.mode, self.silent, decider) {
            Opening::Block(block) => {
                self.block = Some(block.at(indent));
                self.step(held, decider, complete, last)
            }
            Opening::Maybe if !complete && start == line => Step::Wait,
            // What is not a block by its first character may hold one further on.
            Opening::Maybe | Opening::No => {
                self.inside(held, indent + 1, decider, (complete, last))
            }
        }
    }

    /// The rest of a line, from `from` on: text up to where a call may begin.
    fn inside(
        &mut self,
        held: &str,
        from: usize,
        decider: &Decider,
        (complete, last): (bool, bool),
    ) -> Step {
        let end = line_end(held);
        if self.mode != TextCalls::Lenient || self.fence.is_some() {
            return Step::Pass(end);
        }
        let mut line = self.line;
        let mut seen = 0;
        for (at, _) in held[..end].match_indices('<').filter(|(at, _)| *at >= from) {
            line.pass(&held[seen..at]);
            seen = at;
            if line.is_quoted() {
                continue;
            }
            let start = prefix(&held[at..], MAX_OPENING);
            match opening::marked(start, CallRule::FitsAtTheEnd) {
                Opening::Block(block) if at == 0 => {
                    self.block = Some(block);
                    return self.step(held, decider, complete, last);
                }
                Opening::Block(_) => return Step::Pass(at),
                Opening::Maybe if !complete && at + start.len() == held.len() => {
                    return if at == 0 { Step::Wait } else { Step::Pass(at) };
                }
                Opening::Maybe | Opening::No => {}
            }
        }
        Step::Pass(end)
    }

    /// A line that begins with a fence: it opens a code block, closes one, or opens a call.
    fn fence_line(
        &mut self,
        held: &str,
        (mark, len): (char, usize),
        indent: usize,
        decider: &Decider,
        (complete, last): (bool, bool),
    ) -> Step {
        let start = prefix(&held[indent..], MAX_INFO);
        let len = len.min(start.len());
        let Some(end) = start.find('\n') else {
            // The info text, or more of the fence, is still to come.
            if !complete && indent + start.len() == held.len() {
                return Step::Wait;
            }
            return self.toggle((mark, len), &start[len..], line_end(held));
        };
        let info = start[len..end].trim();
        let end = indent + end;
        if self.fence.is_none() && self.mode == TextCalls::Lenient {
            let content = &held[end + 1..];
            let start = prefix(content, MAX_OPENING);
            match opening::fenced(start, info, self.silent, (mark, len), decider) {
                Opening::Block(block) => {
                    self.block = Some(block.at(end + 1));
                    return self.step(held, decider, complete, last);
                }
                Opening::Maybe if !complete && start == content => return Step::Wait,
                Opening::Maybe | Opening::No => {}
            }
        }
        self.toggle((mark, len), info, end + 1)
    }

    fn toggle(&mut self, (mark, len): (char, usize), info: &str, pass: usize) -> Step {
        self.fence = match self.fence {
            None => Some((mark, len)),
            Some((open, open_len)) if open == mark && len >= open_len && info.trim().is_empty() => {
                None
            }
            open => open,
        };
        Step::Pass(pass)
    }
}

/// A fence at the beginning of a line: three or more backticks or tildes.
fn fence(line: &str) -> Option<(char, usize)> {
    let mark = line.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let len = line.chars().take_while(|c| *c == mark).count();
    (len >= 3).then_some((mark, len))
}

/// The first `len` bytes, or fewer to end between two characters. What is decided by it does not
/// depend on how much more has come.
fn prefix(text: &str, len: usize) -> &str {
    let mut len = len.min(text.len());
    while !text.is_char_boundary(len) {
        len -= 1;
    }
    &text[..len]
}

/// Where the first line ends, its newline included.
fn line_end(text: &str) -> usize {
    text.find('\n').map_or(text.len(), |at| at + 1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
